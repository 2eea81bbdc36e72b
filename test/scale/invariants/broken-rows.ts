import type { Invariant } from './findings.ts';

/** What breaks an invariant as far as the rows of one committed state can tell. */
export interface BrokenRows {
  readonly invariant: Invariant;
  /** What such a row is. */
  readonly words: string;
  readonly sql: string;
}

export const brokenRows: readonly BrokenRows[] = [
  {
    invariant: 'I2',
    words: 'two live objects of one digest',
    sql: `select digest from object where state = 'live' group by digest having count(*) > 1`,
  },
  {
    invariant: 'I3',
    words: 'a link without a live object',
    sql: `select repo, digest from link where not exists
            (select from object where object.digest = link.digest and state = 'live')`,
  },
  {
    invariant: 'I4',
    words: 'a manifest without the link that it needs',
    sql: `select repo, manifest, digest from manifest_blob as edge where link_digest is not null and not exists
            (select from link where link.repo = edge.repo and link.digest = edge.digest)`,
  },
  {
    invariant: 'I5',
    words: 'an index without a manifest that it lists',
    sql: `select repo, parent, child from manifest_child as edge where present_child is not null and not exists
            (select from manifest where manifest.repo = edge.repo and manifest.digest = edge.child)`,
  },
  {
    invariant: 'I5',
    words: 'a visible index of which a manifest is in the trash',
    sql: `select edge.repo, parent, child from manifest_child as edge
            join manifest as above on above.repo = edge.repo and above.digest = edge.parent and above.state = 'live'
            join manifest as below on below.repo = edge.repo and below.digest = edge.child and below.state <> 'live'
          where present_child is not null`,
  },
  {
    invariant: 'I6',
    words: 'a tag without a visible manifest',
    sql: `select repo, name from tag where not exists
            (select from manifest where manifest.repo = tag.repo and manifest.digest = tag.manifest and state = 'live')`,
  },
  {
    invariant: 'I9',
    words: 'an object that nothing will look at again',
    sql: `select oid, state from object where state <> 'live' and not exists
            (select from task where kind = 'object' and key1 = oid) and not exists
            (select from upload where upload.oid = object.oid and upload.state = 'open')`,
  },
  {
    invariant: 'I9',
    words: 'a live object that nothing links to or will look at',
    sql: `select oid from object where state = 'live' and not exists (select from link where link.digest = object.digest)
            and not exists (select from task where kind = 'object' and key1 = oid)`,
  },
  {
    invariant: 'I9',
    words: 'a link that no manifest needs and nothing will look at',
    sql: `select repo, digest from link where not exists
            (select from manifest_blob as edge where edge.repo = link.repo and edge.digest = link.digest)
            and not exists (select from task where kind = 'link' and key1 = link.repo and key2 = link.digest)`,
  },
  {
    invariant: 'I9',
    words: 'a manifest that nothing holds or will look at',
    sql: `select repo, digest from manifest as loose where not exists
            (select from tag where tag.repo = loose.repo and tag.manifest = loose.digest)
            and not exists (select from manifest_child as edge where edge.repo = loose.repo and present_child = loose.digest)
            and not exists (select from manifest as subject where subject.repo = loose.repo
              and subject.digest = loose.subject and subject.state = 'live' and loose.state = 'live')
            and not exists (select from pin where pin.repo = loose.repo and pin.kind = 'manifest' and pin.name = loose.digest)
            and not exists (select from task where kind = 'manifest' and key1 = loose.repo and key2 = loose.digest)`,
  },
  {
    invariant: 'I9',
    words: 'an open upload that nothing will look at',
    sql: `select id from upload where state = 'open' and not exists
            (select from task where kind = 'upload' and key1 = id)`,
  },
  {
    invariant: 'I11',
    words: 'something that is kept out is here',
    sql: `select blocked.digest from blocked where exists
            (select from object where object.digest = blocked.digest and state in ('live', 'condemned')) or exists
            (select from link where link.digest = blocked.digest)`,
  },
];

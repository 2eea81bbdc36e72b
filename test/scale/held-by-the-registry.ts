import { PostgresTables } from '../pairs/tables.ts';

/** What a registry whose queue has been worked off has no more of, by its name; those of which there is something. */
export function unfinishedIn(database: string): readonly string[] {
  const counts = PostgresTables.at(database).rows<Readonly<Record<string, number>>>(
    // A session that has ended well is remembered for an hour, for a client that lost the answer; it holds nothing.
    `select (select count(*) from task where kind <> 'upload') as tasks,
            (select count(*) from upload where state = 'open') as "open uploads",
            (select count(*) from object where state <> 'live') as "objects that are not live",
            (select count(*) from purge where checked_at is null) as purges`,
  );
  return Object.entries(counts[0] ?? {}).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`]));
}

/** The objects that a registry holds, as keys below its prefix. */
export function heldKeys(database: string): readonly string[] {
  const rows = PostgresTables.at(database).rows<{ readonly oid: string }>(
    `select oid from object where state = 'live'`,
  );
  return rows.map(({ oid }) => `objects/${oid.slice(0, 2)}/${oid}`).toSorted();
}

/** What breaks the invariants of section 2 of the protocol as far as rows alone can tell, in words. */
export function brokenRowsIn(database: string): readonly string[] {
  return invariants.flatMap(([words, sql]) => {
    const rows = PostgresTables.at(database).rows<object>(sql);
    return rows.map((row) => `${words}: ${JSON.stringify(row)}`);
  });
}

const invariants: readonly (readonly [words: string, sql: string])[] = [
  [
    'I2: two live objects of one digest',
    `select digest from object where state = 'live' group by digest having count(*) > 1`,
  ],
  [
    'I3: a link without a live object',
    `select repo, digest from link where not exists
       (select from object where object.digest = link.digest and state = 'live')`,
  ],
  [
    'I4: a manifest without the link that it needs',
    `select repo, manifest, digest from manifest_blob as edge where link_digest is not null and not exists
       (select from link where link.repo = edge.repo and link.digest = edge.digest)`,
  ],
  [
    'I6: a tag without a live manifest',
    `select repo, name from tag where not exists
       (select from manifest where manifest.repo = tag.repo and manifest.digest = tag.manifest and state = 'live')`,
  ],
  [
    'I9: an object that nothing will look at again',
    `select oid, state from object where state <> 'live' and not exists
       (select from task where kind = 'object' and key1 = oid) and not exists
       (select from upload where upload.oid = object.oid and upload.state = 'open')`,
  ],
  [
    'I9: a live object that nothing links to or will look at',
    `select oid from object where state = 'live' and not exists (select from link where link.digest = object.digest)
       and not exists (select from task where kind = 'object' and key1 = oid)`,
  ],
  [
    'I9: a link that no manifest needs and nothing will look at',
    `select repo, digest from link where not exists
       (select from manifest_blob as edge where edge.repo = link.repo and edge.digest = link.digest)
       and not exists (select from task where kind = 'link' and key1 = link.repo and key2 = link.digest)`,
  ],
  [
    'I9: an open upload that nothing will look at',
    `select id from upload where state = 'open' and not exists (select from task where kind = 'upload' and key1 = id)`,
  ],
  [
    'I11: something that is kept out is here',
    `select blocked.digest from blocked where exists
       (select from object where object.digest = blocked.digest and state in ('live', 'condemned')) or exists
       (select from link where link.digest = blocked.digest)`,
  ],
];

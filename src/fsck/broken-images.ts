import type { Records } from './records.ts';

/** How many images a finding names at most. */
const namedImages = 20;

interface Need {
  readonly repo: string;
  readonly digest: string;
  readonly name: string | null;
}

const upward = `
  select distinct need.repo, need.digest, tag.name, tag.name is null as unnamed from need
  left join tag on tag.repo = need.repo and tag.manifest = need.digest
  where exists (
    select 1 from manifest
    where manifest.repo = need.repo and manifest.digest = need.digest and manifest.state = 'live'
  )
  order by unnamed, need.repo, tag.name
  limit ${namedImages}`;

/** The images that need a blob, by themselves or through an index. */
export async function imagesNeedingBlob(records: Records, digest: string): Promise<readonly string[]> {
  const rows = await records.all<Need>(
    `with recursive need (repo, digest) as (
       select repo, manifest from manifest_blob where link_digest = ?
       union
       select edge.repo, edge.parent from need
       join manifest_child edge on edge.present_child = need.digest and edge.repo = need.repo
     ) ${upward}`,
    digest,
  );
  return namesOf(rows);
}

/** The images that a manifest is or is part of. */
export async function imagesNeedingManifest(
  records: Records,
  repo: string,
  digest: string,
): Promise<readonly string[]> {
  const rows = await records.all<Need>(
    `with recursive need (repo, digest) as (
       select repo, digest from manifest where repo = ? and digest = ?
       union
       select edge.repo, edge.parent from need
       join manifest_child edge on edge.present_child = need.digest and edge.repo = need.repo
     ) ${upward}`,
    repo,
    digest,
  );
  return namesOf(rows);
}

/** Tags, and only where there are none, digests. */
function namesOf(rows: readonly Need[]): readonly string[] {
  const tags = rows.flatMap(({ repo, name }) => (name === null ? [] : [`${repo}:${name}`]));
  return tags.length > 0 ? tags : rows.map(({ repo, digest }) => `${repo}@${digest}`);
}

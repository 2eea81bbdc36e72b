import type { Digest } from '../../src/oci/digest.ts';
import type { RepositoryName } from '../../src/oci/names.ts';
import { Broken } from './broken.ts';
import { pushedBlob, pushedManifest } from './places.ts';
import { heldManifests, holdersOf, isBlobHeld } from './reference/holds.ts';
import type { Reference } from './reference/reference.ts';
import { nameOf, repositories } from './universe.ts';
import type { Seen } from './world.ts';

/** Whatever nothing holds stands in the review queue, by itself or by what would hold it (I9). */
export function checkQueue(
  model: Reference,
  { tasks, manifests: rows, links, objects, uploads }: Seen,
  now: number,
): void {
  const queued = new Set(tasks.map(({ kind, key1, key2 }) => `${kind} ${key1} ${key2}`));
  for (const repo of repositories) {
    const held = heldManifests(model, repo, now);
    for (const row of rows.filter((each) => each.repo === repo)) {
      const digest = pushedManifest(row.digest);
      if (held.has(digest)) continue;
      const holders = above(model, repo, digest);
      if (!holders.some((each) => queued.has(`manifest ${repo} ${each}`))) {
        throw new Broken(`nothing holds ${nameOf(digest)} in ${repo}, and nothing will review it`);
      }
    }
    for (const { digest } of links.filter((each) => each.repo === repo)) {
      if (isBlobHeld(model, repo, pushedBlob(digest), now) || queued.has(`link ${repo} ${digest}`)) continue;
      throw new Broken(`nothing holds blob ${digest} in ${repo}, and nothing will review it`);
    }
  }
  for (const { oid, state, digest } of objects) {
    const isHeld =
      state === 'pending' ? uploads.some((each) => each.oid === oid) : links.some((each) => each.digest === digest);
    const isLive = state === 'live' || state === 'pending';
    if (!(isLive && isHeld) && !queued.has(`object ${oid} `)) {
      throw new Broken(`a ${state} object stands in no queue`);
    }
  }
  for (const { id } of uploads) {
    if (!queued.has(`upload ${id} `)) throw new Broken('an upload stands in no queue');
  }
}

/** A manifest and all that could hold it. */
function above(model: Reference, repo: RepositoryName, digest: Digest): readonly Digest[] {
  const found = new Set([digest]);
  for (const each of found) for (const holder of holdersOf(model, repo, each)) found.add(holder);
  return [...found];
}

import { Broken } from './broken.ts';
import { pushedBlob, pushedManifest } from './places.ts';
import { heldManifests, isBlobHeld } from './reference/holds.ts';
import type { Reference } from './reference/reference.ts';
import { nameOf, repositories } from './universe.ts';
import type { Seen } from './world.ts';

/** When all due reviews are made, what nothing can hold any more is gone: nothing waits for a time that is not its own. */
export function checkLeftovers(model: Reference, { tasks, manifests, links, objects }: Seen, now: number): void {
  const due = tasks.find(({ due_at }) => due_at <= now);
  if (due !== undefined) throw new Broken(`the review of a ${due.kind} is due, and is not made`);
  const garbage = objects.find(
    ({ state, digest }) => state === 'dead' || (state === 'live' && !links.some((each) => each.digest === digest)),
  );
  if (garbage !== undefined) throw new Broken(`a ${garbage.state} object is left that nothing links`);
  if (model.vagueUntil > now) return;
  for (const repo of repositories) {
    const held = heldManifests(model, repo, now, 'at most');
    for (const row of manifests.filter((each) => each.repo === repo)) {
      const digest = pushedManifest(row.digest);
      if (!held.has(digest)) throw new Broken(`${nameOf(digest)} is left in ${repo}, though nothing holds it`);
    }
    for (const row of links.filter((each) => each.repo === repo)) {
      if (isBlobHeld(model, repo, pushedBlob(row.digest), now, 'at most')) continue;
      throw new Broken(`blob ${row.digest} is left in ${repo}, though nothing holds it`);
    }
  }
}

import { collectorSteps } from './collector-steps.ts';
import { acknowledge, isPurgeWaiting } from './disk-steps.ts';
import { heldManifests } from './held.ts';
import type { Layout } from './layout.ts';
import { finishSteps } from './purge-steps.ts';
import {
  at,
  block,
  clientSize,
  file,
  manifest,
  object,
  range,
  reclaim,
  type State,
  type Stepper,
  stopped,
} from './state.ts';
import { timeSteps } from './time-steps.ts';

/** Lets time pass and the collector work until there is nothing to do. @returns what is wrong then */
export function wrongAtRest(layout: Layout, from: State): string | undefined {
  let s = from.slice();
  for (let client = 0; client < layout.world.clients.length; client++)
    s[layout.clientsAt + clientSize * client] = stopped;
  for (let count = 0; count < 1000; count++) {
    const next = anyStepToRest(layout, s);
    if (next === undefined) return wrongRest(layout, s);
    s = next;
  }
  return 'the collector never comes to rest';
}

function anyStepToRest(layout: Layout, s: State): State | undefined {
  let found: State | undefined;
  const take: Stepper = (_name, change) => {
    if (found !== undefined) return;
    const t = s.slice();
    change(t);
    found = t;
  };
  timeSteps(layout, s, take);
  if (found === undefined) collectorSteps(layout, s, take);
  if (found === undefined) finishSteps(layout, s, take);
  const isWaiting = range(layout.world.reclaimers).some((r) => at(s, layout.reclaimersAt + 2 * r) === reclaim.sync);
  if (found === undefined && (isWaiting || isPurgeWaiting(layout, s))) {
    const t = s.slice();
    layout.sync(t);
    acknowledge(layout, t);
    return t;
  }
  return found;
}

function wrongRest(layout: Layout, s: State): string | undefined {
  for (const blob of layout.world.purges ?? []) {
    if (layout.is(s, layout.blocksAt + blob, block.unfinished)) return `at rest the purge of blob ${blob} is not over`;
  }
  const held = heldManifests(layout, s);
  for (let m = 0; m < layout.world.manifests.length; m++) {
    if ((layout.manifest(s, m) !== manifest.gone) !== held.has(m))
      return `at rest ${layout.shape(m).name} is not where it should be`;
  }
  for (let blob = 0; blob < layout.world.blobs; blob++) {
    const isNeeded = (layout.users[blob] ?? []).some((m) => held.has(m));
    if (layout.isLinked(s, blob) !== isNeeded) return `at rest the link of blob ${blob} is not where it should be`;
    const files = layout.objects.filter(
      (each, o) =>
        each.blob === blob && at(s, layout.filesAt + o) !== file.none && at(s, layout.filesAt + o) !== file.lost,
    );
    const objects = layout.objects.filter((each, o) => each.blob === blob && layout.object(s, o) !== object.none);
    const expected = isNeeded ? 1 : 0;
    if (objects.length !== expected) return `at rest blob ${blob} has ${objects.length} objects`;
    if (files.length !== expected) return `at rest blob ${blob} has ${files.length} files`;
  }
  return undefined;
}

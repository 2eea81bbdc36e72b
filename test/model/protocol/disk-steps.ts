import { goNext } from './client-position.ts';
import type { Layout } from './layout.ts';
import {
  ack,
  at,
  clientSize,
  file,
  object,
  phase,
  phases,
  purger,
  range,
  reclaim,
  type State,
  type Stepper,
  stopped,
} from './state.ts';

/** The sync that acknowledges, kill -9, and a power cut. */
export function diskSteps(layout: Layout, s: State, step: Stepper): void {
  const isWaiting =
    layout.world.clients.some((_, client) => isSyncPhase(at(s, layout.clientsAt + clientSize * client))) ||
    range(layout.world.reclaimers).some((r) => at(s, layout.reclaimersAt + 2 * r) === reclaim.sync) ||
    isPurgeWaiting(layout, s);
  if (isWaiting || (layout.world.crashes > 0 && !layout.isSynced(s))) {
    step('sync of the log', (t) => {
      layout.sync(t);
      acknowledge(layout, t);
      return undefined;
    });
  }
  if (at(s, layout.crashesAt) >= layout.world.crashes) return;
  step('kill -9', (t) => {
    endProcess(layout, t);
    for (let o = 0; o < layout.objects.length; o++) {
      if (at(t, layout.filesAt + o) === file.unlinked) t[layout.filesAt + o] = file.none;
    }
    return undefined;
  });
  step('power loss', (t) => {
    endProcess(layout, t);
    for (let place = 0; place < layout.databaseSize; place++) t[place] = at(t, layout.databaseSize + place);
    for (let o = 0; o < layout.objects.length; o++) {
      const place = layout.filesAt + o;
      // Whether a name that was not synced is still there, nobody knows: the one that is worse is assumed.
      if (at(t, place) === file.unlinked) t[place] = file.synced;
      else if (at(t, place) === file.written) t[place] = layout.object(t, o) === object.pending ? file.none : file.lost;
      // An upload whose opening was lost leaves a file that no row knows (docs/reliability.md).
      const hasNeverBeen = layout.object(t, o) === object.none && layout.upload(o).client !== -1;
      if (hasNeverBeen && at(t, place) !== file.none && !layout.hasBug('forgetEarly')) t[place] = file.lost;
    }
    return undefined;
  });
}

/** Whoever waited for the sync is answered. */
export function acknowledge(layout: Layout, t: State): void {
  for (let client = 0; client < layout.world.clients.length; client++) {
    const place = layout.clientsAt + clientSize * client;
    const pending = at(t, place + 1);
    if (!isSyncPhase(at(t, place))) continue;
    if (pending >= 128) layout.on(t, place + 3, 1 << (pending - 128));
    else if (pending > 0) layout.on(t, place + 2, 1 << (pending - 1));
    t[place + 1] = 0;
    goNext(layout, t, client);
  }
  for (let m = 0; m < layout.world.manifests.length; m++) {
    if (at(t, layout.acksAt + m) === ack.committed) t[layout.acksAt + m] = ack.given;
  }
  for (let r = 0; r < layout.world.reclaimers; r++) {
    const place = layout.reclaimersAt + 2 * r;
    if (at(t, place) === reclaim.sync) t[place] = reclaim.unlink;
  }
  for (const blob of layout.world.purges ?? []) {
    const place = layout.purgersAt + blob;
    if (at(t, place) === purger.sync) t[place] = purger.remove;
    else if (at(t, place) === purger.answerSync) t[place] = purger.answered;
  }
}

/** Whether a purge waits for the log. */
export function isPurgeWaiting(layout: Layout, s: State): boolean {
  return (layout.world.purges ?? []).some((blob) => {
    const now = at(s, layout.purgersAt + blob);
    return now === purger.sync || now === purger.answerSync;
  });
}

function endProcess(layout: Layout, t: State): void {
  t[layout.crashesAt] = at(t, layout.crashesAt) + 1;
  for (let client = 0; client < layout.world.clients.length; client++) {
    const place = layout.clientsAt + clientSize * client;
    t.fill(0, place, place + clientSize);
    t[place] = stopped;
  }
  for (let r = 0; r < layout.world.reclaimers; r++)
    t.fill(0, layout.reclaimersAt + 2 * r, layout.reclaimersAt + 2 * r + 2);
  for (let m = 0; m < layout.world.manifests.length; m++) {
    if (at(t, layout.acksAt + m) === ack.committed) t[layout.acksAt + m] = ack.none;
  }
  for (const blob of layout.world.purges ?? []) {
    const place = layout.purgersAt + blob;
    if (at(t, place) !== purger.unused && at(t, place) !== purger.answered) t[place] = purger.stopped;
  }
}

function isSyncPhase(pc: number): boolean {
  if (pc === stopped) return false;
  const now = pc % phases;
  return now === phase.headSync || now === phase.commitSync || now === phase.putSync;
}

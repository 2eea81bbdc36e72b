import type { Layout } from './layout.ts';
import { ack, at, block, link, manifest, object, file, purger, range, type State, type Stepper } from './state.ts';

/** T_purge and T_lift, each as often as the world allows. */
export function purgeSteps(layout: Layout, s: State, step: Stepper): void {
  const { purges = [], lifts = false } = layout.world;
  for (const blob of purges) {
    const place = layout.blocksAt + blob;
    if (at(s, layout.purgersAt + blob) === purger.unused && at(s, place) === 0) {
      step(`T_purge blob ${blob}`, (t) => {
        beginPurge(layout, t, blob);
        return undefined;
      });
    }
    const isUnfinished = layout.is(s, place, block.unfinished);
    if (lifts && layout.is(s, place, block.stands) && (!isUnfinished || layout.hasBug('liftWhileRemoving'))) {
      step(`T_lift blob ${blob}`, (t) => {
        layout.off(t, place, block.asked | block.stands);
        return undefined;
      });
    }
  }
}

/** T_purge, as registry/purges/purge.ts and removal.ts have it. */
function beginPurge(layout: Layout, t: State, blob: number): void {
  const place = layout.blocksAt + blob;
  layout.on(t, place, block.stands | block.unfinished | (layout.hasBug('purgeWithoutBlock') ? 0 : block.asked));
  // Nobody may count any more on what needs the blob, by definition and not as the purge looks for it.
  for (const m of needing(layout, t, blob, true)) {
    t[layout.acksAt + m] = ack.none;
    layout.endPromises(t, 'manifests', m);
  }
  layout.endPromises(t, 'blobs', blob);

  const gone = new Set(needing(layout, t, blob, !layout.hasBug('purgeLeavesIndexes')));
  if (layout.hasBug('purgeTakesChildren'))
    for (const m of gone) for (const child of layout.shape(m).children) gone.add(child);
  for (const m of gone) {
    const { children, blobs } = layout.shape(m);
    t[layout.manifestsAt + m] = manifest.gone;
    if (layout.hasBug('purgeNoReview')) continue;
    for (const each of [...children, ...(layout.referrers[m] ?? [])]) {
      if (gone.has(each) || layout.manifest(t, each) === manifest.gone) continue;
      layout.on(t, layout.manifestsAt + each, manifest.task | manifest.timed);
    }
    for (const other of blobs) if (layout.isLinked(t, other)) layout.on(t, layout.linksAt + other, link.task);
  }
  t[layout.linksAt + blob] = 0;
  for (const [o, each] of layout.objects.entries()) {
    const state = layout.object(t, o);
    if (each.blob !== blob || state === object.none || state === object.pending) continue;
    if (state === object.condemned && layout.hasBug('purgeLeavesCondemned')) continue;
    layout.setObject(t, o, object.dead);
    layout.on(t, o, object.task | object.purged);
  }
  t[layout.purgersAt + blob] = layout.hasBug('purgeRemovesUnsynced') ? purger.remove : purger.sync;
}

/** The manifests that need a blob, and, where it is asked for, the indexes above them. */
function needing(layout: Layout, s: State, blob: number, withIndexes: boolean): ReadonlySet<number> {
  const found = new Set((layout.users[blob] ?? []).filter((m) => layout.manifest(s, m) !== manifest.gone));
  // What is added is come to.
  for (const m of found) if (withIndexes) for (const parent of layout.parentsOf(s, m)) found.add(parent);
  return found;
}

/** What a purge that is effective does to its end, as registry/purges/finisher.ts has it; after a crash from the beginning. */
export function finishSteps(layout: Layout, s: State, step: Stepper): void {
  for (const blob of layout.world.purges ?? []) {
    const place = layout.purgersAt + blob;
    const isUnfinished = layout.is(s, layout.blocksAt + blob, block.unfinished);
    switch (at(s, place)) {
      case purger.stopped:
        if (!isUnfinished || layout.hasBug('purgeNotResumed')) break;
        step(`goes on with the purge of blob ${blob}`, (t) => {
          t[place] = purger.remove;
          return undefined;
        });
        break;
      case purger.remove:
        removeSteps(layout, s, step, blob);
        break;
    }
  }
}

function removeSteps(layout: Layout, s: State, step: Stepper, blob: number): void {
  const o = range(layout.objects.length).find(
    (each) =>
      layout.upload(each).blob === blob && layout.object(s, each) === object.dead && layout.is(s, each, object.purged),
  );
  if (o === undefined || layout.hasBug('purgeAnswersEarly')) {
    step(`the purge of blob ${blob} is over`, (t) => {
      layout.off(t, layout.blocksAt + blob, block.unfinished);
      t[layout.purgersAt + blob] = purger.answerSync;
      return undefined;
    });
    return;
  }
  const there = at(s, layout.file(o));
  if (there === file.written || there === file.synced) {
    step(`truncates and unlinks file ${o}`, (t) => {
      t[layout.file(o)] = file.unlinked;
      return undefined;
    });
    return;
  }
  if (there === file.unlinked && !layout.hasBug('purgeForgetsEarly')) {
    step(`sync of the directory of file ${o}, for the purge`, (t) => {
      t[layout.file(o)] = file.none;
      return undefined;
    });
    return;
  }
  step(`T_forget object ${o}, for the purge`, (t) => {
    t[o] = object.none;
    return undefined;
  });
}

/** What must not be so where something is purged. */
export function wrongPurge(layout: Layout, s: State): string | undefined {
  for (const blob of layout.world.purges ?? []) {
    const place = layout.blocksAt + blob;
    const stands = layout.is(s, place, block.stands);
    if (layout.is(s, place, block.unfinished) && !stands) return 'a purge is lifted that is not over';
    if (!stands) continue;
    if (layout.isLinked(s, blob)) return 'I11: what is kept out is linked';
    const [objects, isAnswered] = [layout.objects.entries(), at(s, layout.purgersAt + blob) === purger.answered];
    for (const [o, each] of objects) {
      if (each.blob !== blob) continue;
      const state = layout.object(s, o);
      if (state === object.live || state === object.condemned) return 'I11: what is kept out has an object';
      const hasBytes = at(s, layout.filesAt + o) === file.written || at(s, layout.filesAt + o) === file.synced;
      if (isAnswered && layout.is(s, o, object.purged) && hasBytes)
        return 'bytes are there of what was said to be gone';
    }
    if (needing(layout, s, blob, true).size > 0) return 'I11: a manifest needs what is kept out';
  }
  return undefined;
}

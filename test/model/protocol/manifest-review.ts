import { heldManifests } from './held.ts';
import type { Layout } from './layout.ts';
import { lookFirst } from './split-review.ts';
import { link, manifest, reclaim, type State, type Stepper } from './state.ts';

function holdsItself(layout: Layout, s: State, m: number): 'for ever' | 'for a time' | undefined {
  if (layout.is(s, layout.manifestsAt + m, manifest.tag)) return 'for ever';
  return layout.is(s, layout.manifestsAt + m, manifest.timed) ? 'for a time' : undefined;
}

/** searchHold, as collector/hold.ts has it. */
function searchHold(
  layout: Layout,
  s: State,
  m: number,
): { held: 'for ever' | 'for a time' | undefined; visited: readonly number[]; isListed: boolean } {
  const visited: number[] = [];
  const waiting = [m];
  let isListed = false;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (visited.includes(next) || layout.manifest(s, next) === manifest.gone) continue;
    visited.push(next);
    const held = holdsItself(layout, s, next);
    if (held !== undefined) return { held, visited, isListed };
    const parents = layout.hasBug('ignoreParents') ? [] : layout.parentsOf(s, next);
    if (next === m) isListed = layout.parentsOf(s, next).length > 0;
    waiting.push(...parents);
    const { subject } = layout.shape(next);
    if (subject === undefined || layout.manifest(s, next) !== manifest.live || layout.hasBug('ignoreSubject')) continue;
    if (layout.hasBug('subjectHolds') && layout.manifest(s, subject) !== manifest.gone) {
      return { held: 'for ever', visited, isListed };
    }
    waiting.push(subject);
  }
  return { held: undefined, visited, isListed };
}

/** T_review of a manifest, as collector/review-manifest.ts has it. */
export function reviewManifest(layout: Layout, s: State, step: Stepper, m: number): void {
  const place = layout.manifestsAt + m;
  if (!layout.is(s, place, manifest.task)) return;
  const { name, children, blobs } = layout.shape(m);
  const { held, visited, isListed } = searchHold(layout, s, m);
  // It is looked at again when the time is over.
  if (held === 'for a time') return;
  if (held === 'for ever' || layout.manifest(s, m) === manifest.gone) {
    if (layout.hasBug('splitReview')) {
      lookFirst(layout, s, step, reclaim.finishManifest, m, `T_review(${name}) looks: keep`);
      return;
    }
    step(`T_review(${name}): keep`, (t) => {
      layout.off(t, place, manifest.task);
      return undefined;
    });
    return;
  }
  if (isListed && !layout.hasBug('childrenFirst') && !layout.hasBug('ignoreParents')) {
    step(`T_review(${name}): its index first`, (t) => {
      layout.off(t, place, manifest.task);
      if (layout.hasBug('parentsNotReviewed')) return undefined;
      for (const each of visited) if (each !== m) layout.on(t, layout.manifestsAt + each, manifest.task);
      return undefined;
    });
    return;
  }
  step(`T_review(${name}): remove`, (t) => {
    t[place] = manifest.gone;
    const left = [
      ...(layout.hasBug('childrenNotReviewed') ? [] : children),
      ...(layout.hasBug('referrersNotReviewed') ? [] : (layout.referrers[m] ?? [])),
    ].filter((each) => layout.manifest(t, each) !== manifest.gone);
    for (const each of left) layout.on(t, layout.manifestsAt + each, manifest.task | manifest.timed);
    for (const blob of layout.hasBug('linksNotReviewed') ? [] : blobs) {
      if (layout.isLinked(t, blob)) layout.on(t, layout.linksAt + blob, link.task);
    }
    return heldManifests(layout, s).has(m) ? `the collector takes what is held: ${name}` : undefined;
  });
}

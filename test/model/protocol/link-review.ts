import type { Layout } from './layout.ts';
import { lookFirst } from './split-review.ts';
import { at, lease, link, manifest, object, reclaim, type State, type Stepper } from './state.ts';

function needs(layout: Layout, s: State, blob: number): boolean {
  return (layout.users[blob] ?? []).some((m) => {
    const state = layout.manifest(s, m);
    return state === manifest.live || (state === manifest.trashed && !layout.hasBug('trashHoldsNothing'));
  });
}

/** T_review of a link, as collector/review-link.ts has it. */
export function reviewLink(layout: Layout, s: State, step: Stepper, blob: number): void {
  const place = layout.linksAt + blob;
  if (!layout.is(s, place, link.task)) return;
  const isLeased = (at(s, place) & lease.bits) !== lease.over;
  if (needs(layout, s, blob) || !layout.isLinked(s, blob)) {
    if (layout.hasBug('splitReview')) {
      lookFirst(layout, s, step, reclaim.finishLink, blob, `T_review(link ${blob}) looks: keep`);
      return;
    }
    step(`T_review(link ${blob}): keep`, (t) => {
      layout.off(t, place, link.task);
      return undefined;
    });
  } else if (!isLeased) {
    step(`T_review(link ${blob}): remove`, (t) => {
      t[place] = 0;
      const live = layout.live(t, blob);
      if (live !== -1 && !layout.hasBug('objectNotReviewed')) layout.on(t, live, object.task);
      return undefined;
    });
  }
}

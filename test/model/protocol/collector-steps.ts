import type { Layout } from './layout.ts';
import { reviewLink } from './link-review.ts';
import { reviewManifest } from './manifest-review.ts';
import { reviewObjects } from './object-review.ts';
import { reclaimSteps } from './reclaim-steps.ts';
import { at, reclaim, type State, type Stepper } from './state.ts';

/** Every review that is due, and what reclaimers may do next. */
export function collectorSteps(layout: Layout, s: State, step: Stepper): void {
  for (let m = 0; m < layout.world.manifests.length; m++) reviewManifest(layout, s, step, m);
  for (let blob = 0; blob < layout.world.blobs; blob++) reviewLink(layout, s, step, blob);
  for (let r = 0; r < layout.world.reclaimers; r++) {
    const place = layout.reclaimersAt + 2 * r;
    if (at(s, place) === reclaim.idle) reviewObjects(layout, s, step, place);
    else reclaimSteps(layout, s, step, place, at(s, place + 1));
  }
}

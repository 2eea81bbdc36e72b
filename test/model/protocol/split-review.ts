import type { Layout } from './layout.ts';
import { at, reclaim, type State, type Stepper } from './state.ts';

/** Only for the mistake of finishing a task later than it was looked at. */
export function lookFirst(layout: Layout, s: State, step: Stepper, to: number, what: number, name: string): void {
  for (let r = 0; r < layout.world.reclaimers; r++) {
    const place = layout.reclaimersAt + 2 * r;
    if (at(s, place) !== reclaim.idle) continue;
    step(name, (t) => {
      t[place] = to;
      t[place + 1] = what;
      return undefined;
    });
    return;
  }
}

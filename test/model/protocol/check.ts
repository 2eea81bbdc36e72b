import { Protocol } from './protocol.ts';
import type { SeededBug } from './seeded-bugs.ts';
import type { SmallWorld } from './small-world.ts';
import type { State } from './state.ts';

export interface Checked {
  readonly states: number;
  /** The longest of the shortest ways to a state. */
  readonly depth: number;
  /** Whether there are no other states. */
  readonly areAll: boolean;
  /** What is wrong somewhere, and the steps that lead there. */
  readonly wrong: { readonly what: string; readonly steps: readonly string[] } | undefined;
}

/** Of so many states one is let come to rest, beside all in which nothing more can happen. */
const restEvery = 16;

/** Explores every order of the protocol's steps in a small world, breadth first, until something is wrong. */
export function check(world: SmallWorld, bugs: readonly SeededBug[] = [], mostStates = 3_000_000): Checked {
  const protocol = new Protocol(world, bugs);
  const seen = new Map<string, number>();
  const from: number[] = [];
  const names: string[] = [];
  let depth = 0;

  const stepsTo = (place: number, last?: string): readonly string[] => {
    const steps = last === undefined ? [] : [last];
    for (let each = place; each > 0; each = from[each] ?? 0) steps.unshift(names[each] ?? '');
    return steps;
  };
  const initial = protocol.initial();
  seen.set(String.fromCharCode(...initial), 0);
  from.push(0);
  names.push('');
  let layer: { readonly place: number; readonly state: State }[] = [{ place: 0, state: initial }];
  let found: Checked['wrong'];

  while (layer.length > 0 && seen.size < mostStates) {
    const next: typeof layer = [];
    for (const { place, state } of layer) {
      let isLast = true;
      protocol.steps(state, (name, to, wrongStep) => {
        isLast = false;
        if (found !== undefined) return;
        const key = String.fromCharCode(...to);
        if (wrongStep !== undefined) found = { what: wrongStep, steps: stepsTo(place, name) };
        if (seen.has(key)) return;
        const what = protocol.wrong(to);
        if (what !== undefined) found = { what, steps: stepsTo(place, name) };
        const number = seen.size;
        seen.set(key, number);
        from.push(place);
        names.push(name);
        next.push({ place: number, state: to });
      });
      if (found === undefined && (isLast || place % restEvery === 0)) {
        const what = protocol.wrongAtRest(state);
        if (what !== undefined) found = { what, steps: stepsTo(place) };
      }
      if (found !== undefined) return { states: seen.size, depth, areAll: false, wrong: found };
    }
    layer = next;
    if (layer.length > 0) depth++;
  }
  return { states: seen.size, depth, areAll: layer.length === 0, wrong: undefined };
}

import { clientSteps } from './client-steps.ts';
import { collectorSteps } from './collector-steps.ts';
import { deleteSteps } from './delete-steps.ts';
import { diskSteps } from './disk-steps.ts';
import { Layout } from './layout.ts';
import { finishSteps, purgeSteps } from './purge-steps.ts';
import { wrongAtRest } from './rest.ts';
import type { SeededBug } from './seeded-bugs.ts';
import type { SmallWorld } from './small-world.ts';
import type { Emit, State, Stepper } from './state.ts';
import { timeSteps } from './time-steps.ts';
import { wrongState } from './wrong-state.ts';

// The protocol of uploading, deleting and collecting as steps between small states: each transaction, each operation on a
// file and each sync is one step. The names are those of the code: T_open is registry/uploads/open.ts, and so on.

/** A small world, and what may happen in it. */
export class Protocol {
  readonly #layout: Layout;

  constructor(world: SmallWorld, bugs: readonly SeededBug[] = []) {
    this.#layout = new Layout(world, bugs);
  }

  initial(): State {
    return this.#layout.initial();
  }

  /** Every step that may come next. */
  steps(s: State, emit: Emit): void {
    const layout = this.#layout;
    const step: Stepper = (name, change) => {
      const t = s.slice();
      const what = change(t);
      emit(name, t, what);
    };
    clientSteps(layout, s, step);
    deleteSteps(layout, s, step);
    timeSteps(layout, s, step);
    collectorSteps(layout, s, step);
    purgeSteps(layout, s, step);
    finishSteps(layout, s, step);
    diskSteps(layout, s, step);
  }

  /** What must not be so in any state. */
  wrong(s: State): string | undefined {
    return wrongState(this.#layout, s);
  }

  /** Lets time pass and the collector work until there is nothing to do. @returns what is wrong then */
  wrongAtRest(s: State): string | undefined {
    return wrongAtRest(this.#layout, s);
  }
}

import type { Clock } from '../../src/registry/clock.ts';

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs = Date.UTC(2030, 0, 1);

  now(): number {
    return this.#nowMs;
  }

  /** Moves the time on by `ms`. */
  advance(ms: number): void {
    this.#nowMs += ms;
  }
}

import type { Clock } from '../../src/registry/clock.ts';

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs = Date.UTC(2030, 0, 1);

  #monotonicMs = 0;

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  /** Moves the time on by `ms`. */
  advance(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
  }

  /** Sets the clock forth, or back where `ms` is negative, while no time passes. */
  set(ms: number): void {
    this.#nowMs += ms;
  }
}

import type { Clock } from '../registry/clock.ts';

/** A clock that goes more wrong than this between two looks at it was set, in ms. */
const largestDriftMs = 60_000;
/** How long nothing is collected after that, in ms: time for somebody, or a time server, to set it right. */
const distrustMs = 15 * 60_000;

/**
 * Notices that the clock was set (R42). No clock can make the collector take away what is referenced; but leases and the
 * trash end by it, so that one set far ahead by mistake would end all of them at once.
 */
export class ClockGuard {
  readonly #clock: Clock;
  #wallMs: number;
  #monotonicMs: number;
  #distrustedUntilMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wallMs = clock.now();
    this.#monotonicMs = clock.monotonic();
  }

  /** @returns by how much the clock was set since the last look, in ms; 0 where it was not */
  look(): number {
    const [wallMs, monotonicMs] = [this.#clock.now(), this.#clock.monotonic()];
    const driftMs = wallMs - this.#wallMs - (monotonicMs - this.#monotonicMs);
    this.#wallMs = wallMs;
    this.#monotonicMs = monotonicMs;
    if (Math.abs(driftMs) <= largestDriftMs) return 0;
    this.#distrustedUntilMs = monotonicMs + distrustMs;
    return driftMs;
  }

  /** How long the clock is not to be believed from now on, in ms; 0 where it is. */
  get distrustedMs(): number {
    return Math.max(0, this.#distrustedUntilMs - this.#clock.monotonic());
  }
}

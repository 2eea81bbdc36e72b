/** The time, passed in so that a test can move it. */
export interface Clock {
  /** Milliseconds since 1970. The system may set it forth and back. */
  now(): number;
  /** Milliseconds since some moment, which only go on. */
  monotonic(): number;
}

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

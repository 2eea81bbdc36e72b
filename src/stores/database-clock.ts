import type { Log } from '../log/log.ts';
import type { Clock } from '../registry/clock.ts';

/** Differences up to this do no harm, and are less than what asking over a busy network makes, in ms. */
const toleratedMs = 1000;
/** How often it is compared, in ms. */
const everyMs = 60_000;

interface DatabaseClockParts {
  /** The clock of this machine. */
  readonly own: Clock;
  /** The database's time, in ms since 1970. */
  readonly ask: () => Promise<number>;
  readonly log: Log;
}

/**
 * The time as the database has it (protocol.md, 1), so that processes on machines whose clocks differ agree about when leases
 * and the trash end: this machine's clock, set right by what it differs from the database's.
 */
export class DatabaseClock implements Clock {
  readonly #own: Clock;
  readonly #ask: () => Promise<number>;
  readonly #log: Log;
  /** How far the database's clock is ahead of this machine's, in ms. */
  #aheadMs = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor({ own, ask, log }: DatabaseClockParts) {
    this.#own = own;
    this.#ask = ask;
    this.#log = log;
  }

  /** A clock that has been set right, and is again from time to time until it is stopped. @throws what asking throws */
  static async start(parts: DatabaseClockParts): Promise<DatabaseClock> {
    const clock = new DatabaseClock(parts);
    await clock.compare();
    clock.#timer = setInterval(() => void clock.#compareQuietly(), everyMs);
    clock.#timer.unref();
    return clock;
  }

  now(): number {
    return this.#own.now() + this.#aheadMs;
  }

  monotonic(): number {
    return this.#own.monotonic();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Sets it right, where it differs by more than may be for how long the answer took. */
  async compare(): Promise<void> {
    const asked = this.#own.monotonic();
    const theirs = await this.#ask();
    const tookMs = this.#own.monotonic() - asked;
    const aheadMs = Math.round(theirs + tookMs / 2 - this.#own.now());
    if (Math.abs(aheadMs - this.#aheadMs) <= Math.max(toleratedMs, tookMs)) return;
    this.#aheadMs = aheadMs;
    if (aheadMs === 0) return;
    this.#log.warn(
      { databaseAheadMs: aheadMs },
      "this machine's clock is not that of the database, by which all processes go: set both right (NTP)",
    );
  }

  async #compareQuietly(): Promise<void> {
    // A database that is away is noticed by everything else.
    await this.compare().catch(() => undefined);
  }
}

/** How fast the collector may work, as the operator has set it. */
export interface PaceSettings {
  /** Reviews between two looks at whether requests are waiting. */
  readonly batch: number;
  /** Reviews a second, at most. */
  readonly perSecond: number;
  /** How much of its time it works while requests come, above 0 and up to 1. */
  readonly shareBesideRequests: number;
}

/** What the pace depends on. */
export interface PaceParts extends PaceSettings {
  /** For how long no request has come or been under way, in ms. */
  quietMs(): number;
  /** Whether it has to hurry, whatever is set. */
  isHurried(): boolean;
}

/** Some work, after which it rests. */
export interface Worked {
  readonly reviews: number;
  readonly tookMs: number;
  readonly waitedMs: number;
  /** The share of the time that it takes beside requests is no less than this, whatever is set. */
  readonly leastShare?: number;
  /** The longest rest, in ms. */
  readonly mostMs?: number;
}

/** As long as requests came so short a time ago, in ms, others are expected. */
const quietAfterMs = 250;
/** The longest rest that a share of the time asks for, in ms: what a review took may be little else than waiting for the disk. */
const longestRestMs = 100;
/** The share doubles with every so many ms for which the first review has been due: it settles at what it takes. */
const lateMs = 600_000;
/** What it may come to in that way. */
const lateShare = 0.5;

/**
 * The pace of the collector (R49): requests go first. Beside them it makes one review at a time, and rests many times as
 * long as that took; without them it makes some at a time, and no more than so many a second.
 */
export class Pace {
  readonly #parts: PaceParts;

  constructor(parts: PaceParts) {
    this.#parts = parts;
  }

  /** How many reviews to make now. */
  get atOnce(): number {
    return this.#hasRequests ? 1 : this.#parts.batch;
  }

  /**
   * How long to rest, in ms, after `reviews` reviews that took `tookMs`, of which the first had been due for `waitedMs`;
   * 0 for one turn of the event loop.
   */
  restMs({ reviews, tookMs, waitedMs, leastShare = 0, mostMs = longestRestMs }: Worked): number {
    if (this.#parts.isHurried()) return 0;
    const { perSecond, shareBesideRequests } = this.#parts;
    const leastMs = (reviews / perSecond) * 1000 - tookMs;
    if (!this.#hasRequests) return Math.max(0, leastMs);
    const askedShare = Math.max(shareBesideRequests, leastShare);
    const share = Math.max(askedShare, Math.min(lateShare, askedShare * 2 ** (waitedMs / lateMs)));
    return Math.max(0, leastMs, Math.min(tookMs / share - tookMs, mostMs));
  }

  get #hasRequests(): boolean {
    return this.#parts.quietMs() < quietAfterMs && !this.#parts.isHurried();
  }
}

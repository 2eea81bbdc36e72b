/** How fast something may be taken. */
export interface Rate {
  readonly perSecond: number;
  /** How much may be taken at once by whoever has taken nothing for long. */
  readonly burst: number;
}

interface Bucket {
  /** What could be taken at `atMs`; below 0 where more was taken than there was. */
  tokens: number;
  atMs: number;
}

/** How many clients are remembered. One takes some 150 bytes. */
const mostClients = 50_000;
/** Nobody has to make up for more than this long a time, in seconds, however much was taken. */
const longestDebtSeconds = 600;

/**
 * A bucket of tokens for each client, which fills at a steady rate. The client that was seen longest ago is forgotten
 * where there are too many, which fills its bucket.
 */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #nowMs: () => number;
  readonly #mostClients: number;
  /** In the order in which they were seen. */
  readonly #buckets = new Map<string, Bucket>();

  /** @param nowMs a clock that never goes back */
  constructor(rate: Rate, nowMs: () => number, most = mostClients) {
    this.#rate = rate;
    this.#nowMs = nowMs;
    this.#mostClients = most;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes a token. Where there is none, nothing is taken, and the result is after how many ms there is one; else 0. */
  take(client: string): number {
    const bucket = this.#bucketOf(client);
    if (bucket.tokens < 1) return this.#msUntil(bucket, 1);
    bucket.tokens--;
    return 0;
  }

  /** After how many ms there is something in the bucket again; 0 where there is now. */
  waitMs(client: string): number {
    const bucket = this.#bucketOf(client);
    return bucket.tokens > 0 ? 0 : this.#msUntil(bucket, 1);
  }

  /** Takes what was used already, also where there is not as much. */
  charge(client: string, amount: number): void {
    const bucket = this.#bucketOf(client);
    bucket.tokens = Math.max(bucket.tokens - amount, -longestDebtSeconds * this.#rate.perSecond);
  }

  #msUntil(bucket: Bucket, tokens: number): number {
    return ((tokens - bucket.tokens) / this.#rate.perSecond) * 1000;
  }

  /** A client's bucket, filled up to now. */
  #bucketOf(client: string): Bucket {
    const { perSecond, burst } = this.#rate;
    const atMs = this.#nowMs();
    const known = this.#buckets.get(client);
    if (known === undefined) {
      if (this.#buckets.size >= this.#mostClients) this.#forgetOne();
      const bucket = { tokens: burst, atMs };
      this.#buckets.set(client, bucket);
      return bucket;
    }
    known.tokens = Math.min(burst, known.tokens + ((atMs - known.atMs) / 1000) * perSecond);
    known.atMs = atMs;
    this.#buckets.delete(client);
    this.#buckets.set(client, known);
    return known;
  }

  #forgetOne(): void {
    for (const client of this.#buckets.keys()) {
      this.#buckets.delete(client);
      return;
    }
  }
}

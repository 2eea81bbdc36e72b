/** The least latency that is told from others, in ms, and how much wider each step is than the one before. */
const leastMs = 0.01;
const growth = 1.04;

/** How many operations took how long, in steps of 4 %: [step, count] pairs. */
export interface LatencyCounts {
  readonly steps: readonly (readonly [step: number, count: number])[];
  readonly maxMs: number;
}

/** Collects how long operations of one kind take, in a few hundred numbers however many there are. */
export class Latencies {
  readonly #counts = new Map<number, number>();
  #maxMs = 0;
  #total = 0;

  add(ms: number): void {
    this.#addTo(Math.max(0, Math.ceil(Math.log(ms / leastMs) / Math.log(growth))), 1);
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  /** Adds what another process has counted. */
  merge({ steps, maxMs }: LatencyCounts): void {
    for (const [step, count] of steps) this.#addTo(step, count);
    this.#maxMs = Math.max(this.#maxMs, maxMs);
  }

  get count(): number {
    return this.#total;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** The time within which a share of the operations was done, such as 0.99; 0 where there were none. */
  quantileMs(share: number): number {
    let seen = 0;
    for (const [step, count] of [...this.#counts].toSorted(([one], [other]) => one - other)) {
      seen += count;
      if (seen >= share * this.#total) return Math.min(leastMs * growth ** step, this.#maxMs);
    }
    return this.#maxMs;
  }

  get counts(): LatencyCounts {
    return { steps: [...this.#counts], maxMs: this.#maxMs };
  }

  #addTo(step: number, count: number): void {
    this.#counts.set(step, (this.#counts.get(step) ?? 0) + count);
    this.#total += count;
  }
}

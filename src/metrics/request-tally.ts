/** What has been counted of the requests of one route and method. */
export interface TalliedRequests {
  readonly route: string;
  readonly method: string;
  /** How many were answered with each status. */
  readonly statuses: ReadonlyMap<number, number>;
  /** For each upper bound, and last for none: how many took no longer, and longer than the bound before. */
  readonly buckets: readonly number[];
  readonly totalSeconds: number;
}

interface Tally extends TalliedRequests {
  readonly statuses: Map<number, number>;
  readonly buckets: number[];
  totalSeconds: number;
}

/**
 * Counts requests in plain numbers. A metrics library finds the series of a sample by its labels each time, which takes
 * longer than finding a manifest; here that is left for when somebody asks for the metrics.
 */
export class RequestTally {
  readonly #boundsSeconds: readonly number[];
  readonly #routes = new Map<string, Map<string, Tally>>();

  /** @param boundsSeconds upper bounds of the durations that are counted together, ascending */
  constructor(boundsSeconds: readonly number[]) {
    this.#boundsSeconds = boundsSeconds;
  }

  /** Counts a request that has been answered. */
  add(route: string, method: string, status: number, durationSeconds: number): void {
    const tally = this.#routes.get(route)?.get(method) ?? this.#begin(route, method);
    tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1);
    let bucket = 0;
    while (durationSeconds > (this.#boundsSeconds[bucket] ?? Infinity)) bucket++;
    tally.buckets[bucket] = (tally.buckets[bucket] ?? 0) + 1;
    tally.totalSeconds += durationSeconds;
  }

  *[Symbol.iterator](): Iterator<TalliedRequests> {
    for (const methods of this.#routes.values()) yield* methods.values();
  }

  #begin(route: string, method: string): Tally {
    const tally: Tally = {
      route,
      method,
      statuses: new Map(),
      buckets: Array.from({ length: this.#boundsSeconds.length + 1 }, () => 0),
      totalSeconds: 0,
    };
    const methods = this.#routes.get(route) ?? new Map<string, Tally>();
    methods.set(method, tally);
    this.#routes.set(route, methods);
    return tally;
  }
}

import { Histogram } from 'prom-client';
import type { RequestTally } from './request-tally.ts';

const name = 'wherry_http_request_duration_seconds';
const help = 'Time from a request to the head of its answer.';

/** The durations of a tally as a histogram of the metrics library, made when it is asked for. */
export class DurationHistogram extends Histogram<'route' | 'method'> {
  readonly #tally: RequestTally;
  readonly #boundsSeconds: readonly number[];

  constructor(tally: RequestTally, boundsSeconds: readonly number[]) {
    super({ name, help, labelNames: ['route', 'method'], buckets: [...boundsSeconds], registers: [] });
    this.#tally = tally;
    this.#boundsSeconds = boundsSeconds;
  }

  /** What the library asks for, here and in get(), where it writes the metric out. */
  async getForPromString() {
    return { name, help, type: 'histogram', aggregator: 'sum', values: [...this.#values()] };
  }

  *#values() {
    for (const { route, method, buckets, totalSeconds } of this.#tally) {
      let count = 0;
      for (const [index, inBucket] of buckets.entries()) {
        count += inBucket;
        const le = this.#boundsSeconds[index] ?? '+Inf';
        yield { metricName: `${name}_bucket`, labels: { le, route, method }, value: count };
      }
      yield { metricName: `${name}_sum`, labels: { route, method }, value: totalSeconds };
      yield { metricName: `${name}_count`, labels: { route, method }, value: count };
    }
  }
}

/** How much was stored at a time, and used of the disk by whomever. */
export interface Sample {
  /** In ms since 1970. */
  readonly at: number;
  readonly storedBytes: number;
  readonly diskUsedBytes: number;
}

/** Two samples say little, and those of minutes nothing. */
const least = { samples: 3, spanMs: 2 * 3_600_000 };

/**
 * How fast something grows, in bytes a ms: the median of the slopes between each two samples (Theil and Sen), which a few
 * samples before a large delete do not move. Undefined where the samples are too few, or too close to each other.
 */
export function growthOf(samples: readonly { readonly at: number; readonly bytes: number }[]): number | undefined {
  const [oldest, newest] = [samples[0], samples.at(-1)];
  if (oldest === undefined || newest === undefined) return undefined;
  if (samples.length < least.samples || newest.at - oldest.at < least.spanMs) return undefined;
  const slopes = samples
    .flatMap((one, index) =>
      samples.slice(index + 1).map((other) => (other.bytes - one.bytes) / Math.max(1, other.at - one.at)),
    )
    .sort((a, b) => a - b);
  const middle = Math.floor(slopes.length / 2);
  const [below, above] = [slopes[middle - 1], slopes[middle]];
  if (above === undefined) return undefined;
  return slopes.length % 2 === 0 && below !== undefined ? (below + above) / 2 : above;
}

/** When something that grows like this reaches a bound, in ms from now; undefined where it never does. */
export function reachedInMs(bytes: number, boundBytes: number, growth: number | undefined): number | undefined {
  if (bytes >= boundBytes) return 0;
  if (growth === undefined || growth <= 0) return undefined;
  return (boundBytes - bytes) / growth;
}

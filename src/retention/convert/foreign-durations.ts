import { formatDuration, longestDurationMs } from '../../config/duration.ts';

const msPerUnit: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/**
 * A length of time as Go or Google write it (`168h`, `1h30m0s`, `2592000s`, `1.5h`), as we write it; undefined for
 * anything else, and for no time at all.
 */
export function foreignDuration(text: string): string | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[dhms]))+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, count, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g)) {
    ms += Number(count) * (msPerUnit[unit] ?? 0);
  }
  return ms < 1 || ms > longestDurationMs ? undefined : formatDuration(Math.round(ms));
}

/** A number of days, as we write it. */
export function days(count: number): string {
  return `${count}d`;
}

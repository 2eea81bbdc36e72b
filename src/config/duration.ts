const msPerUnit = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
const units = ['d', 'h', 'm', 's', 'ms'] as const;
/** A thousand years: a time so long before or after now is still one. */
export const longestDurationMs = 365_000 * msPerUnit.d;
const shape = /^(?:(?<d>\d+)d)?(?:(?<h>\d+)h)?(?:(?<m>\d+)m)?(?:(?<s>\d+)s)?(?:(?<ms>\d+)ms)?$/;

export type DurationResult =
  { readonly ok: true; readonly ms: number } | { readonly ok: false; readonly problem: string };

/**
 * Parses a length of time: `6h`, `1h30m`, `200ms`, or `0`. Any other number needs a unit, because a reader cannot tell
 * whether 200 means seconds or milliseconds. Longer ones than a thousand years are refused.
 */
export function parseDuration(text: string): DurationResult {
  if (/^0+$/.test(text)) return { ok: true, ms: 0 };
  if (/^\d+$/.test(text)) return { ok: false, problem: `add a unit, as in ${text}ms, ${text}s, ${text}m or ${text}h` };
  const parts = text === '' ? undefined : shape.exec(text)?.groups;
  if (parts === undefined) return { ok: false, problem: 'this is not a duration' };
  const ms = units.reduce((sum, unit) => sum + Number(parts[unit] ?? 0) * msPerUnit[unit], 0);
  return ms <= longestDurationMs ? { ok: true, ms } : { ok: false, problem: 'this is longer than a thousand years' };
}

/** The shortest way to write a length of time in ms that `parseDuration` reads back: 5400000 gives `1h30m`. */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = '';
  for (const unit of units) {
    const count = Math.floor(rest / msPerUnit[unit]);
    rest -= count * msPerUnit[unit];
    if (count > 0) text += `${count}${unit}`;
  }
  return text === '' ? '0' : text;
}

import { formatByteSize, parseByteSize } from './byte-size.ts';

/** A share of the file system, or a number of bytes. */
export type StorageBound =
  { readonly unit: 'percent'; readonly percent: number } | { readonly unit: 'bytes'; readonly sizeBytes: number };

export type StorageBoundResult =
  { readonly ok: true; readonly bound: StorageBound } | { readonly ok: false; readonly problem: string };

/** What `storage.low` is of `storage.high` where nobody has said. */
const lowShare = 0.9;

/** Parses a percentage or a number of bytes with its unit: `90%`, `12.5%`, `50GiB`. */
export function parseStorageBound(text: string): StorageBoundResult {
  const percentText = /^(?<percent>\d{1,3}(?:\.\d{1,2})?) ?%$/.exec(text)?.groups?.['percent'];
  if (percentText !== undefined) {
    const percent = Number(percentText);
    return percent <= 100
      ? { ok: true, bound: { unit: 'percent', percent } }
      : { ok: false, problem: 'this is more than 100%' };
  }
  if (text.endsWith('%')) return { ok: false, problem: 'this is not a percentage' };
  const size = parseByteSize(text);
  if (size.ok) return { ok: true, bound: { unit: 'bytes', sizeBytes: size.sizeBytes } };
  return /^\d+$/.test(text) ? { ok: false, problem: `add a unit, as in ${text}% or ${text}GiB` } : size;
}

export function formatStorageBound(bound: StorageBound): string {
  return bound.unit === 'percent' ? `${bound.percent}%` : formatByteSize(bound.sizeBytes);
}

/** How far room is made where only the upper bound is given. */
export function lowBelow(high: StorageBound): StorageBound {
  return high.unit === 'percent'
    ? { unit: 'percent', percent: Math.round(high.percent * lowShare * 100) / 100 }
    : { unit: 'bytes', sizeBytes: Math.floor(high.sizeBytes * lowShare) };
}

/** What is wrong with two bounds that are each right; undefined where nothing is. */
export function problemOfBounds(high: StorageBound | undefined, low: StorageBound): string | undefined {
  const lowText = formatStorageBound(low);
  if (high === undefined) return `storage.low is ${lowText} while storage.high is off: set both, or neither`;
  const highText = formatStorageBound(high);
  if (high.unit !== low.unit) {
    return `storage.high is ${highText} and storage.low ${lowText}: give both in percent, or both in bytes`;
  }
  if (amountOf(low) < amountOf(high)) return undefined;
  return `storage.low is ${lowText} and storage.high ${highText}: the lower bound has to be below the upper one`;
}

function amountOf(bound: StorageBound): number {
  return bound.unit === 'percent' ? bound.percent : bound.sizeBytes;
}

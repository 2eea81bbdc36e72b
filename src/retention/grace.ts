import type { Item } from './facts.ts';
import type { Rails } from './policy.ts';

/**
 * Before which time something must not go, whatever the rules say; infinite where that is for ever. NaN is a time that
 * nobody knows.
 */
export function graceUntil(
  { graceMs, untaggedGraceMs }: Pick<Rails, 'graceMs' | 'untaggedGraceMs'>,
  item: Item,
  bornAt: number,
  usedAt: number,
): number {
  const grace = bornAt + graceMs;
  const until =
    item.kind === 'tag' ? grace : Math.max(grace, Math.max(usedAt, item.untaggedAt ?? -Infinity) + untaggedGraceMs);
  const isHeld = item.isPinned || item.immutableBy !== undefined || item.follows !== null;
  return isHeld || Number.isNaN(until) ? Infinity : until;
}

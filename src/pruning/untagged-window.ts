import type { Windows } from '../registry/registry.ts';

/** What there is to know of a manifest that may be waiting for its first tag. Times are in ms since 1970. */
interface UntaggedTimes {
  readonly isVisible: boolean;
  readonly taggedAt: number | null;
  readonly releasedAt: number | null;
  readonly pushedAt: number;
  readonly lastPulledAt: number | null;
  readonly leaseUntil: number;
}

/**
 * Whether a manifest that no index lists, and whose subject is not here, is kept for waiting for its first tag, as
 * collector/hold.ts has it. It may go on like that for ever, as long as somebody pulls it: so what a plan leaves there
 * counts as staying. Whatever an index or a subject held is released when that goes, and waits no more.
 */
export function waitsForFirstTag(manifest: UntaggedTimes, now: number, windows: Windows): boolean {
  const { isVisible, taggedAt, releasedAt, pushedAt, lastPulledAt, leaseUntil } = manifest;
  if (!isVisible || taggedAt !== null || releasedAt !== null) return false;
  return Math.max(pushedAt, lastPulledAt ?? 0, leaseUntil - windows.leaseMs) + windows.neverTaggedMs > now;
}

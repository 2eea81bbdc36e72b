import type { Digest } from '../oci/digest.ts';
import type { Glob } from '../retention/glob.ts';
import type { EventRow } from './event-row.ts';

/** Which events are asked for; what is undefined limits nothing. */
export interface EventFilter {
  readonly repositories?: Glob | undefined;
  /** What the kind begins with. */
  readonly kind?: string | undefined;
  /** An identity (`user:alice`), its name alone, or an address. */
  readonly by?: string | undefined;
  readonly digest?: Digest | undefined;
  readonly tag?: string | undefined;
}

export function isAskedFor(row: EventRow, { repositories, kind, by, digest, tag }: EventFilter): boolean {
  if (kind !== undefined && !row.kind.startsWith(kind)) return false;
  if (tag !== undefined && row.tag !== tag) return false;
  // The reason of a tag that was moved names where it leads since.
  if (digest !== undefined && row.digest !== digest && row.reason?.includes(digest) !== true) return false;
  if (by !== undefined && !isBy(row, by)) return false;
  return repositories === undefined || (row.repo !== null && repositories.matches(row.repo));
}

function isBy({ identity, address }: EventRow, by: string): boolean {
  return identity === by || address === by || identity?.slice(identity.indexOf(':') + 1) === by;
}

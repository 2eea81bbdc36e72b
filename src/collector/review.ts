/** What a review has come to. */
export interface ReviewOutcome {
  /** When to look again, in ms since 1970; undefined where nothing is left to look at. */
  readonly againAt: number | undefined;
  /** The object whose file may be removed now. */
  readonly reclaim?: Reclaim;
  readonly collected?: Collected;
}

export interface Reclaim {
  readonly oid: string;
  readonly sizeBytes: number;
}

/** What a review has taken away. */
export interface Collected {
  readonly manifests?: number;
  readonly manifestBytes?: number;
  readonly links?: number;
  readonly blobs?: number;
  readonly uploads?: number;
}

export const done: ReviewOutcome = { againAt: undefined };

export function reviewAgainAt(againAt: number): ReviewOutcome {
  return { againAt };
}

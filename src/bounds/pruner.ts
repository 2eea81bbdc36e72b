import type { Operation } from '../metadata/operation.ts';

/**
 * Removes tags where policies allow it, those first that were used the longest ago, until about `neededBytes` bytes are
 * freed once the trash is emptied of them, and no more than it takes. They go through the trash, which is emptied of them at
 * once, or when a lease is over that a client was given; what waits for that counts before more is asked for. Says how
 * many it has removed: 0 where no policy allows any. Each transaction that removes some does `guard` first, which throws where
 * it is not for this process to make room any more.
 */
export type PruneLeastRecentlyUsed = (neededBytes: number, guard: () => Operation<void>) => Promise<PrunedForRoom>;

export interface PrunedForRoom {
  readonly tags: number;
  /** Under no tag. */
  readonly manifests: number;
  readonly bytes: number;
}

/** Without policies, no tag goes. */
export const pruneNothing: PruneLeastRecentlyUsed = async () => ({ tags: 0, manifests: 0, bytes: 0 });

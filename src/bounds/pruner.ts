import type { Operation } from '../metadata/operation.ts';

/**
 * Removes tags where policies allow it, those first that were used the longest ago, until about `neededBytes` bytes are
 * freed once the trash is emptied of them, and no more than it takes. They go through the trash, which is emptied of them at
 * once, or when a lease is over that a client was given; what waits for that counts before more is asked for. Says how
 * many it has removed: 0 where no policy allows any, undefined where it was held before it had removed one.
 */
export type PruneLeastRecentlyUsed = (neededBytes: number, limits: RoomLimits) => Promise<PrunedForRoom | undefined>;

/** What keeps what makes room from going on. */
export interface RoomLimits {
  /** Asked before each batch: whether anything may go. */
  readonly mayGoOn: () => Promise<boolean>;
  /** Done first in each transaction that removes something: throws where nothing may. */
  readonly guard: () => Operation<void>;
}

export interface PrunedForRoom {
  readonly tags: number;
  /** Under no tag. */
  readonly manifests: number;
  readonly bytes: number;
}

/** Without policies, no tag goes. */
export const pruneNothing: PruneLeastRecentlyUsed = async () => ({ tags: 0, manifests: 0, bytes: 0 });

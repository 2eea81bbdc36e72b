import { all, change, type Operation } from '../metadata/operation.ts';
import {
  claimRetentionReviews,
  deleteRetentionReview,
  dueRetentionReviews,
  postponeRetentionReview,
  renewRetentionReview,
} from '../metadata/queries/retention-reviews.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Registry } from '../registry/registry.ts';

/** Repositories that are taken from the queue at once. */
const takenAtOnce = 16;
/** How long a process has a repository for itself, in ms: where it ends meanwhile, another one takes it up after that. */
const claimMs = 60_000;
/** Until when nobody has it. */
const unclaimed = 0;
/** Room on a disk that is full is made by pruning. */
const fromReserve = { fromReserve: true } as const;

/**
 * Takes repositories that are due from the queue, the longest due first. Where several processes work it off, each is taken
 * by one of them.
 */
export async function takeDue(registry: Registry): Promise<readonly TakenReview[]> {
  const { metadata, clock } = registry;
  const now = clock.now();
  const due = await metadata.read(() => all(dueRetentionReviews, { now, limit: metadata.isShared ? 1 : takenAtOnce }));
  // To claim nothing is a commit as well, of which all processes would hear.
  if (!metadata.isShared || due.length === 0) return due.map((row) => new TakenReview(registry, row));
  const claim = { now, until: now + claimMs, limit: takenAtOnce };
  const claimed = await metadata.writeUnsynced(() => all(claimRetentionReviews, claim), {
    ...fromReserve,
    byOwnRows: true,
  });
  return claimed.map((row) => new TakenReview(registry, row));
}

interface ReviewRow {
  readonly repo: RepositoryName;
  readonly version: number;
  readonly attempts: number;
  readonly claimed_until: number;
}

/** A repository that was due, until it is put away. */
export class TakenReview {
  readonly #registry: Registry;
  readonly repo: RepositoryName;
  /** How often the repository had changed when it was taken, or was last judged. */
  #version: number;
  /** How often in a row a look at it has failed. */
  readonly attempts: number;
  /** In ms since 1970. Tells this claim from those that others may make after it. */
  #claimedUntil: number;

  constructor(registry: Registry, row: ReviewRow) {
    this.#registry = registry;
    this.repo = row.repo;
    this.#version = row.version;
    this.attempts = row.attempts;
    this.#claimedUntil = row.claimed_until;
  }

  /** It was judged when it had changed so often: only what comes after that makes another look necessary. */
  judgedAt(version: number): void {
    this.#version = version;
  }

  /** Has it for longer, where its time is half over. @returns whether it is still this process's */
  async keep(): Promise<boolean> {
    const { metadata, clock } = this.#registry;
    const now = clock.now();
    if (!metadata.isShared || this.#claimedUntil - now > claimMs / 2) return true;
    return await this.#claim(now + claimMs);
  }

  /** Leaves it to whoever comes next, as if it had not been taken. */
  async release(): Promise<void> {
    if (this.#registry.metadata.isShared) await this.#claim(unclaimed);
  }

  /** The next look at it comes at a time, in ms since 1970, or when it changes; sooner where it has changed meanwhile. */
  async putAway(dueAt: number | null, changedDueAt: number, attempts = this.attempts): Promise<void> {
    await this.#registry.metadata.writeUnsynced(() => this.puttingAway(dueAt, changedDueAt, attempts), fromReserve);
  }

  /** The same, as the last statement of a transaction that decides when. */
  *puttingAway(dueAt: number | null, changedDueAt: number, attempts = this.attempts): Operation<void> {
    const { repo } = this;
    const [version, claimedUntil] = [this.#version, this.#claimedUntil];
    yield* change(postponeRetentionReview, {
      repo,
      version,
      claimedUntil,
      unclaimed,
      dueAt,
      changedDueAt,
      attempts,
    });
  }

  /** It is in the queue no more; where it has changed meanwhile, the next look at it comes at `changedDueAt`. */
  async forget(changedDueAt: number): Promise<void> {
    await this.#registry.metadata.writeUnsynced(() => this.forgetting(changedDueAt), fromReserve);
  }

  /** The same, as the last statements of a transaction. */
  *forgetting(changedDueAt: number): Operation<void> {
    const { repo } = this;
    const version = this.#version;
    if ((yield* change(deleteRetentionReview, { repo, version })) > 0) return;
    yield* this.puttingAway(changedDueAt, changedDueAt, 0);
  }

  async #claim(until: number): Promise<boolean> {
    const { repo } = this;
    const claimedUntil = this.#claimedUntil;
    const kept = await this.#registry.metadata.writeUnsynced(
      () => change(renewRetentionReview, { repo, claimedUntil, until }),
      { ...fromReserve, byOwnRows: true },
    );
    if (kept > 0) this.#claimedUntil = until;
    return kept > 0;
  }
}

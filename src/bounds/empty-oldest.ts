import { all, first, type Operation } from '../metadata/operation.ts';
import { linkLease } from '../metadata/queries/links.ts';
import { liveObject } from '../metadata/queries/objects.ts';
import { someHoldersOfBlob, someLinksOf } from '../metadata/queries/old-trash.ts';
import { heldBlobsOf } from '../metadata/queries/removals.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { boundsActor } from '../registry/actor.ts';
import { leaseEnd } from '../registry/lease-end.ts';
import type { Registry, Windows } from '../registry/registry.ts';
import type { TrashEntry } from '../registry/trash/trash.ts';
import {
  endTrashOf,
  type OldEntry,
  oldestAt,
  positionAfter,
  trashByAge,
  type TrashPosition,
} from '../registry/trash/by-age.ts';
import { below } from '../usage/released.ts';
import { Standings } from '../usage/standing.ts';
import type { RoomLimits } from './pruner.ts';

/** Entries that one read looks at, so that no request waits long. */
const entriesPerStep = 20;
/** Entries that one call looks at; the next one goes on behind them. */
const mostSteps = 50;
/** Entries that one call lets go: what they share with many others shows only when they are gone. */
const mostChosen = 50;
/** A blob that more manifests hold than these is not looked into: it counts as one that stays. */
const mostHolders = 10;
/** Manifests below one entry that are looked into. */
const mostBelow = 100;

export interface EmptiedOldest {
  readonly manifests: number;
  readonly tags: number;
  /** What that frees, roughly: blobs that many images share are not counted. */
  readonly bytes: number;
  /** What was looked at and goes when a lease is over, as roughly. */
  readonly waitingBytes: number;
  /** Where to go on; undefined where all of the trash has been looked at. */
  readonly next: TrashPosition | undefined;
}

export interface EmptyRequest extends RoomLimits {
  readonly neededBytes: number;
  readonly from: TrashPosition | undefined;
  readonly reason: string;
}

/**
 * Ends the time of what has been in the trash the longest, until that frees `neededBytes`. What would free nothing now is
 * left alone, so that it can still be restored: what something else holds, and what has a lease that goes on.
 */
export async function emptyOldest(
  registry: Registry,
  { neededBytes, from, reason, mayGoOn, guard }: EmptyRequest,
): Promise<EmptiedOldest> {
  const now = registry.clock.now();
  const choice = new Choice({ now, windows: registry.windows });
  const emptied = { manifests: 0, tags: 0, bytes: 0 };
  let position: TrashPosition | undefined = from ?? oldestAt(now);
  for (let step = 0; step < mostSteps && position !== undefined; step++) {
    if (!(await mayGoOn())) break;
    const at: TrashPosition = position;
    const chosen = await registry.metadata.read(() => choice.from(at, neededBytes));
    position = chosen.next;
    if (chosen.entries.length > 0) {
      const gone = await endTrashOf(registry, chosen.entries, { actor: boundsActor, reason, guard });
      emptied.manifests += gone.filter(({ kind }) => kind === 'manifest').length;
      emptied.tags += gone.filter(({ kind }) => kind === 'tag').length;
    }
    emptied.bytes = choice.bytes;
    if (choice.bytes >= neededBytes || choice.entries >= mostChosen) break;
  }
  return { ...emptied, waitingBytes: choice.waitingBytes, next: position };
}

/** What is chosen to go, and what that frees. */
class Choice {
  readonly #time: { readonly now: number; readonly windows: Windows };
  readonly #standings = new Standings();
  /** Manifests that go, by repository and digest. */
  readonly #going = new Set<string>();
  /** Those that stay until a lease is over. */
  readonly #waiting = new Set<string>();
  readonly #counted = new Set<Digest>();
  bytes = 0;
  waitingBytes = 0;
  entries = 0;

  constructor(time: { readonly now: number; readonly windows: Windows }) {
    this.#time = time;
  }

  /** Of the next entries, those that are to go. */
  *from(
    position: TrashPosition,
    neededBytes: number,
  ): Operation<{ readonly entries: readonly TrashEntry[]; readonly next: TrashPosition | undefined }> {
    const page = yield* trashByAge(position, entriesPerStep);
    const entries: TrashEntry[] = [];
    const seen: OldEntry[] = [];
    for (const old of page.entries) {
      if (this.bytes >= neededBytes || this.entries >= mostChosen)
        return { entries, next: positionAfter(seen, position) };
      seen.push(old);
      const { repo, digest } = old.entry;
      if (yield* this.#standings.isHeld(repo, digest)) continue;
      // A deleted manifest's tags stand beside it.
      const key = `${repo}@${digest}`;
      if (this.#waiting.has(key)) continue;
      const { freedBytes, leasedBytes } = yield* this.#add(repo, digest);
      const isLeased = (yield* leaseEnd(repo, old.leaseUntil, this.#time)) !== undefined;
      if (isLeased || (freedBytes === 0 && leasedBytes > 0)) {
        this.waitingBytes += freedBytes + leasedBytes;
        this.#waiting.add(key);
        continue;
      }
      this.bytes += freedBytes;
      this.waitingBytes += leasedBytes;
      entries.push(old.entry);
      this.entries++;
    }
    return { entries, next: page.next };
  }

  /** Of the blobs that nothing but what goes holds any more: those that go with it, and those whose own lease goes on. */
  *#add(repo: RepositoryName, digest: Digest): Operation<{ freedBytes: number; leasedBytes: number }> {
    const manifests = [...(yield* below(repo, digest))].slice(0, mostBelow);
    for (const each of manifests) this.#going.add(`${repo}@${each}`);
    const sums = { freedBytes: 0, leasedBytes: 0 };
    for (const manifest of manifests) {
      for (const blob of yield* all(heldBlobsOf, { repo, manifest })) {
        const bytes = yield* this.#bytesOf(repo, blob.digest);
        if (bytes === 0) continue;
        const link = yield* first(linkLease, { repo, digest: blob.digest });
        const isLeased =
          link?.deleted_at === null && (yield* leaseEnd(repo, link.lease_until, this.#time)) !== undefined;
        sums[isLeased ? 'leasedBytes' : 'freedBytes'] += bytes;
      }
    }
    return sums;
  }

  *#bytesOf(repo: RepositoryName, digest: Digest): Operation<number> {
    if (this.#counted.has(digest)) return 0;
    if ((yield* all(someLinksOf, { digest, limit: 2 })).length > 1) return 0;
    const holders = yield* all(someHoldersOfBlob, { repo, digest, limit: mostHolders + 1 });
    if (holders.length > mostHolders) return 0;
    if (!holders.every(({ manifest }) => this.#going.has(`${repo}@${manifest}`))) return 0;
    this.#counted.add(digest);
    return (yield* first(liveObject, { digest }))?.size_bytes ?? 0;
  }
}

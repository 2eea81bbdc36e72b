import type { Log } from '../log/log.ts';
import type { EventKind } from '../metadata/schema.ts';
import { boundsActor } from '../registry/actor.ts';
import { dueReviews } from '../registry/collector-pause.ts';
import { recordEvent } from '../registry/events.ts';
import type { Registry } from '../registry/registry.ts';
import type { TrashPosition } from '../registry/trash/by-age.ts';
import { emptyOldest } from './empty-oldest.ts';
import type { Levels } from './levels.ts';
import type { PruneLeastRecentlyUsed, PrunedForRoom } from './pruner.ts';

/** Uploads are taken again when so much more than the reserve is free, so that it does not go to and fro. */
const reserveMargin = 1.1;
/** So long the collector is given to work off what a step has let go, in ms, before another one is taken. */
const settleMs = 5000;
/** How soon it is looked again where there was nothing to free, in ms: in the trash, and for tags that may go. */
const againMs = { trash: 1500, tags: 30_000 };
/** Since ever a disk is short when less than this share of it is free, and less than so many bytes. */
const short = { share: 0.05, bytes: 1024 ** 3 };

/** Why no room can be made though it is needed. */
export type Stuck =
  /** All blobs together take less than what is missing. */
  | 'others-fill-the-disk'
  | 'collector-paused'
  /** Nothing is left that may go. */
  | 'nothing-left';

export interface RoomMakerParts {
  readonly registry: Registry;
  readonly prune: PruneLeastRecentlyUsed;
  /** Whether what is let go is taken away. */
  readonly mayCollect: () => Promise<boolean>;
  readonly wakeCollector: () => void;
}

/** What has been done since the bound was passed. */
export interface Made {
  readonly trashedManifests: number;
  readonly trashedTags: number;
  readonly prunedTags: number;
  /** Under no tag. */
  readonly prunedManifests: number;
  /** What has left the trash frees, roughly. */
  readonly bytes: number;
}

export interface RoomState {
  /** Since when, in ms since 1970; undefined where it is not. */
  readonly overHighSince: number | undefined;
  readonly underReserveSince: number | undefined;
  readonly stuck: Stuck | undefined;
  /** Undefined where nothing had to be done. */
  readonly made: Made | undefined;
}

const nothingMade: Made = { trashedManifests: 0, trashedTags: 0, prunedTags: 0, prunedManifests: 0, bytes: 0 };

/**
 * Makes room where a bound is passed, the cheapest and safest first: what goes by itself is waited for, the collector
 * hurries (`isHurried`), the trash is emptied, oldest first, and tags go as far as policies allow it. Each look does one
 * step at most; the next one sees by the figures what that has freed. It does not count on what it has estimated.
 */
export class RoomMaker {
  readonly #parts: RoomMakerParts;
  readonly #log: Log;
  #overHighSince: number | undefined;
  #underReserveSince: number | undefined;
  #stuck: Stuck | undefined;
  readonly #told = new Set<Stuck>();
  #isShort = false;
  #made: Made | undefined;
  /** Where in the trash to go on. */
  #position: TrashPosition | undefined;
  /** What in the trash goes when leases are over, of what was looked at in this round. */
  #waitingBytes = 0;
  /** When there was nothing left, in ms since 1970. */
  #emptyHandedAt = -Infinity;
  /** When no tag could go, in ms since 1970. */
  #nothingPrunedAt = -Infinity;
  /** When something was last let go, in ms since 1970. */
  #stepAt = -Infinity;
  /** Whether anything may go before its time. */
  #isAllowed = false;

  constructor(parts: RoomMakerParts) {
    this.#parts = parts;
    this.#log = parts.registry.log;
  }

  get state(): RoomState {
    return {
      overHighSince: this.#overHighSince,
      underReserveSince: this.#underReserveSince,
      stuck: this.#stuck,
      made: this.#made,
    };
  }

  get isMakingRoom(): boolean {
    return this.#isNeeded && this.#isAllowed && this.#stuck === undefined;
  }

  /** Whether the collector is to let nothing hold it up. */
  get isHurried(): boolean {
    return this.#isShort || (this.#isNeeded && this.#stuck !== 'others-fill-the-disk');
  }

  get #isNeeded(): boolean {
    return this.#overHighSince !== undefined || this.#underReserveSince !== undefined;
  }

  /** Looks at how things stand, tells of bounds that were crossed, and takes a step where one is needed. */
  async look(levels: Levels): Promise<void> {
    const { freeBytes, usedOnDiskBytes } = levels;
    this.#isShort = freeBytes < Math.min((freeBytes + usedOnDiskBytes) * short.share, short.bytes);
    this.#isAllowed = levels.highBytes !== undefined;
    await this.#tellCrossings(levels);
    if (!this.#isNeeded) {
      this.#stuck = undefined;
      this.#told.clear();
      this.#position = undefined;
      this.#emptyHandedAt = -Infinity;
      this.#nothingPrunedAt = -Infinity;
      return;
    }
    if (this.#isAllowed) await this.#step(levels);
  }

  async #step(levels: Levels): Promise<void> {
    const { registry, mayCollect, wakeCollector } = this.#parts;
    if (this.#missingBytes(levels) > levels.blobBytes) return await this.#getStuck('others-fill-the-disk', levels);
    if (!(await mayCollect())) return await this.#getStuck('collector-paused', levels);
    if (this.#stuck !== 'nothing-left') this.#stuck = undefined;
    const neededBytes = this.#neededBytes(levels);
    if (neededBytes <= 0) {
      this.#stuck = undefined;
      return;
    }
    const now = registry.clock.now();
    const due = await dueReviews(registry);
    if ((due.count > 0 && now - this.#stepAt < settleMs) || due.oldestDueMs > settleMs) return wakeCollector();
    if (now - this.#emptyHandedAt < againMs.trash) return;

    const reason = this.#overHighSince === undefined ? 'storage.reserve was touched' : 'storage.high was passed';
    if (this.#position === undefined) this.#waitingBytes = 0;
    const emptied = await emptyOldest(registry, { neededBytes, from: this.#position, reason });
    this.#position = emptied.next;
    this.#waitingBytes += emptied.waitingBytes;
    const { manifests, tags, bytes } = emptied;
    if (manifests + tags > 0) {
      this.#log.info({ manifests, tags, bytes, neededBytes }, 'the trash was emptied before its time to make room');
      return this.#hasMade({ ...nothingMade, trashedManifests: manifests, trashedTags: tags, bytes });
    }
    if (this.#position !== undefined) return;
    this.#emptyHandedAt = now;
    // Tags that were removed to make room are in the trash first, where what they led to may have a lease.
    const missingBytes = neededBytes - this.#waitingBytes;
    if (missingBytes <= 0) {
      this.#stuck = undefined;
      return;
    }
    const pruned = await this.#prune(missingBytes, now);
    if (pruned.tags + pruned.manifests > 0) {
      this.#log.info({ ...pruned, neededBytes }, 'things were removed by their policies to make room');
      this.#emptyHandedAt = -Infinity;
      const { tags: prunedTags, manifests: prunedManifests } = pruned;
      // What it frees counts when it leaves the trash.
      return this.#hasMade({ ...nothingMade, prunedTags, prunedManifests });
    }
    await this.#getStuck('nothing-left', levels);
  }

  /** Policies are asked again only after a while where they allowed nothing. */
  async #prune(neededBytes: number, now: number): Promise<PrunedForRoom> {
    if (now - this.#nothingPrunedAt < againMs.tags) return { tags: 0, manifests: 0, bytes: 0 };
    const pruned = await this.#parts.prune(neededBytes);
    if (pruned.tags + pruned.manifests === 0) this.#nothingPrunedAt = now;
    return pruned;
  }

  #hasMade(step: Made): void {
    const before = this.#made ?? nothingMade;
    this.#stuck = undefined;
    this.#stepAt = this.#parts.registry.clock.now();
    this.#made = {
      trashedManifests: before.trashedManifests + step.trashedManifests,
      trashedTags: before.trashedTags + step.trashedTags,
      prunedTags: before.prunedTags + step.prunedTags,
      prunedManifests: before.prunedManifests + step.prunedManifests,
      bytes: before.bytes + step.bytes,
    };
    this.#parts.wakeCollector();
  }

  /** What is missing to be within the bounds at all. */
  #missingBytes({ usedBytes, highBytes = Infinity, freeBytes, reserveBytes }: Levels): number {
    return Math.max(usedBytes - highBytes, reserveBytes - freeBytes);
  }

  /** What is to be freed beyond what is on its way out. */
  #neededBytes({ usedBytes, lowBytes = Infinity, freeBytes, reserveBytes, leavingBytes }: Levels): number {
    const toLow = this.#overHighSince === undefined ? -Infinity : usedBytes - lowBytes;
    const toReserve = this.#underReserveSince === undefined ? -Infinity : reserveBytes * reserveMargin - freeBytes;
    return Math.ceil(Math.max(toLow, toReserve) - leavingBytes);
  }

  /** Tells it once until there is room again. */
  async #getStuck(stuck: Stuck, { usedBytes, highBytes, freeBytes }: Levels): Promise<void> {
    this.#stuck = stuck;
    if (this.#told.has(stuck)) return;
    this.#told.add(stuck);
    const why = {
      'others-fill-the-disk': 'all blobs together take less than what is missing',
      'collector-paused': 'the collector is paused',
      'nothing-left': 'nothing is left that may go',
    }[stuck];
    this.#log.warn({ usedBytes, highBytes, freeBytes }, `no more room can be made: ${why}`);
    await this.#record('disk.stuck', freeBytes, why);
  }

  async #tellCrossings(levels: Levels): Promise<void> {
    const { usedBytes, highBytes, lowBytes = 0, freeBytes, reserveBytes, leavingBytes } = levels;
    const now = this.#parts.registry.clock.now();
    const wasNeeded = this.#isNeeded;
    if (this.#overHighSince === undefined && usedBytes > (highBytes ?? Infinity)) {
      this.#overHighSince = now;
      this.#log.warn({ usedBytes, highBytes, lowBytes }, 'storage.high was passed: room is made down to storage.low');
      await this.#record('disk.high', usedBytes, `more than ${highBytes} bytes are used`);
    } else if (this.#overHighSince !== undefined) {
      // Where others had filled the disk, the way from high down to low is theirs as well.
      const doneBytes = this.#stuck === 'others-fill-the-disk' ? (highBytes ?? Infinity) : lowBytes;
      // While pushes go on, something is always on its way out: it makes up for what has come since.
      if (usedBytes <= (highBytes ?? Infinity) && usedBytes - leavingBytes <= doneBytes) {
        this.#overHighSince = undefined;
        this.#log.info({ usedBytes, highBytes, lowBytes, ...this.#made }, 'there is room again');
        await this.#record('disk.low', usedBytes, `no more than ${doneBytes} bytes are used and stay`);
      }
    }
    if (this.#underReserveSince === undefined && freeBytes < reserveBytes) {
      this.#underReserveSince = now;
      this.#log.warn({ freeBytes, reserveBytes }, 'less is free than storage.reserve: new uploads are refused');
      await this.#record('disk.reserve', freeBytes, `less than ${reserveBytes} bytes are free`);
    } else if (this.#underReserveSince !== undefined && freeBytes >= reserveBytes * reserveMargin) {
      this.#underReserveSince = undefined;
      this.#log.info({ freeBytes, reserveBytes }, 'new uploads are taken again');
      await this.#record('disk.room', freeBytes, `more than ${reserveBytes} bytes are free`);
    }
    if (!wasNeeded && this.#isNeeded) this.#made = undefined;
  }

  async #record(kind: EventKind, bytes: number, reason: string): Promise<void> {
    const { metadata, clock } = this.#parts.registry;
    const event = { at: clock.now(), kind, actor: boundsActor, reason, bytes };
    try {
      // Not from the room kept for deletes: the log says as much.
      await metadata.writeUnsynced(() => recordEvent(event));
    } catch (error) {
      this.#log.warn({ err: error, kind }, 'what happened could not be written down');
    }
  }
}

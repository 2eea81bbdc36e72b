import { formatStorageBound } from '../config/storage-bound.ts';
import type { Log } from '../log/log.ts';
import type { EventKind } from '../metadata/schema.ts';
import { boundsActor } from '../registry/actor.ts';
import type { DueReviews } from '../registry/collector-pause.ts';
import type { RegistryEvent } from '../registry/events.ts';
import type { Registry } from '../registry/registry.ts';
import type { TrashPosition } from '../registry/trash/by-age.ts';
import { emptyOldest } from './empty-oldest.ts';
import type { Bounds, Levels } from './levels.ts';
import type { PruneLeastRecentlyUsed, PrunedForRoom, RoomLimits } from './pruner.ts';
import { type Made, nothingMade, parseRoomState, type RoomState, type Stuck, withinBounds } from './room-state.ts';
import { CollectorPausedError, RoomTurn, TurnLostError } from './room-turn.ts';

/** Uploads are taken again when so much more than the reserve is free, so that it does not go to and fro. */
const reserveMargin = 1.1;
/** So long the collector is given to work off what a step has let go, in ms, before another one is taken. */
const settleMs = 5000;
/** How soon it is looked again where there was nothing to free, in ms: in the trash, and for tags that may go. */
const againMs = { trash: 1500, tags: 30_000 };
/** Since ever a disk is short when less than this share of it is free, and less than so many bytes. */
const short = { share: 0.05, bytes: 1024 ** 3 };

export interface RoomMakerParts {
  readonly registry: Registry;
  readonly bounds: Bounds;
  readonly prune: PruneLeastRecentlyUsed;
  /** Whether what is let go is taken away. */
  readonly mayCollect: () => Promise<boolean>;
  readonly wakeCollector: () => void;
}

/**
 * Makes room where a bound is passed, the cheapest and safest first: what goes by itself is waited for, the collector
 * hurries (`isHurried`), the trash is emptied, oldest first, and tags go as far as policies allow it. Each look does one
 * step at most; the next one sees by the figures what that has freed. It does not count on what it has estimated.
 *
 * Of several processes one does so (`takeTurn`); the others go by what that one says, and take over from there.
 */
export class RoomMaker {
  readonly #parts: RoomMakerParts;
  readonly #log: Log;
  readonly #turn: RoomTurn;
  #isOurs = false;
  #state: RoomState = withinBounds;
  /** As the database has it. */
  #written: string | null = null;
  /** Where in the trash to go on. */
  #position: TrashPosition | undefined;
  /** What in the trash goes when leases are over, of what was looked at in this round. */
  #waitingBytes = 0;
  /** When there was nothing left, by the steady clock, in ms. */
  #emptyHandedAt = -Infinity;
  /** When no tag could go, by the steady clock, in ms. */
  #nothingPrunedAt = -Infinity;
  /** When something was last let go, in ms since 1970, by whichever process. */
  #stepAt = -Infinity;

  constructor(parts: RoomMakerParts) {
    this.#parts = parts;
    this.#log = parts.registry.log;
    this.#turn = new RoomTurn(parts.registry);
  }

  get state(): RoomState {
    return this.#state;
  }

  /** Whether room is being made, by whichever process. */
  get isMakingRoom(): boolean {
    return this.#isNeeded && this.#isAllowed && this.#state.stuck === undefined;
  }

  /** Whether the collector is to let nothing hold it up. */
  get isHurried(): boolean {
    return this.#state.isShort || (this.#isNeeded && this.#state.stuck !== 'others-fill-the-disk');
  }

  /** Whether anything may go before its time. */
  get #isAllowed(): boolean {
    return this.#parts.bounds.high !== undefined;
  }

  get #isNeeded(): boolean {
    return this.#state.overHighSince !== undefined || this.#state.underReserveSince !== undefined;
  }

  /**
   * Whether it is for this process to look at how things stand: to be asked before they are measured. If not, it learns how
   * they do from the one that does.
   *
   * @param mayTake whether this process makes room at all
   */
  async takeTurn(mayTake: boolean): Promise<boolean> {
    const standing = await (mayTake ? this.#turn.take() : this.#turn.look());
    this.#stepAt = standing.steppedAt;
    if (!standing.isOurs || standing.isNew || !this.#isOurs) {
      this.#state = parseRoomState(standing.state);
      this.#written = standing.state;
      this.#beginAnew();
    }
    this.#isOurs = standing.isOurs;
    return standing.isOurs;
  }

  /**
   * Looks at how things stand, tells of bounds that were crossed, and takes a step where one is needed.
   *
   * @param due as it was before things were measured: what it had let go, and is reviewed by then, is in what was measured
   */
  async look(levels: Levels, due: DueReviews): Promise<void> {
    try {
      await this.#look(levels, due);
    } catch (error) {
      if (error instanceof TurnLostError) {
        this.#isOurs = false;
        this.#log.info({}, 'another process makes room from here on');
      } else if (error instanceof CollectorPausedError) {
        this.#log.info({}, 'the collector was paused while something was to go to make room: it stays');
      } else throw error;
    }
  }

  async #look(levels: Levels, due: DueReviews): Promise<void> {
    const { freeBytes, usedOnDiskBytes } = levels;
    const isShort = freeBytes < Math.min((freeBytes + usedOnDiskBytes) * short.share, short.bytes);
    this.#set({ isShort });
    const crossings = this.#crossings(levels);
    if (!this.#isNeeded) {
      this.#set({ stuck: undefined, told: [] });
      this.#beginAnew();
    }
    await this.#tell(crossings);
    if (!this.#isNeeded || !this.#isAllowed) return;
    await this.#step(levels, due);
    await this.#tell([]);
  }

  #beginAnew(): void {
    this.#position = undefined;
    this.#emptyHandedAt = -Infinity;
    this.#nothingPrunedAt = -Infinity;
  }

  #set(changed: Partial<RoomState>): void {
    this.#state = { ...this.#state, ...changed };
  }

  async #step(levels: Levels, due: DueReviews): Promise<void> {
    const { registry, mayCollect, wakeCollector } = this.#parts;
    if (this.#missingBytes(levels) > levels.blobBytes) return await this.#getStuck('others-fill-the-disk', levels);
    if (!(await mayCollect())) return await this.#getStuck('collector-paused', levels);
    if (this.#state.stuck !== 'nothing-left') this.#set({ stuck: undefined });
    const neededBytes = this.#neededBytes(levels);
    if (neededBytes <= 0) {
      this.#set({ stuck: undefined });
      return;
    }
    const isSettling = due.count > 0 && this.#hasSteppedAround(due.at);
    if (isSettling || due.oldestDueMs >= settleMs) return wakeCollector();
    const now = registry.clock.monotonic();
    if (now - this.#emptyHandedAt < againMs.trash) return;

    const reason = this.#state.overHighSince === undefined ? 'storage.reserve was touched' : 'storage.high was passed';
    if (this.#position === undefined) this.#waitingBytes = 0;
    const emptied = await emptyOldest(registry, {
      neededBytes,
      from: this.#position,
      reason,
      ...this.#limits,
    });
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
      this.#set({ stuck: undefined });
      return;
    }
    const pruned = await this.#prune(missingBytes, now);
    if (pruned === undefined) return;
    if (pruned.tags + pruned.manifests > 0) {
      this.#log.info({ ...pruned, neededBytes }, 'things were removed by their policies to make room');
      this.#emptyHandedAt = -Infinity;
      const { tags: prunedTags, manifests: prunedManifests } = pruned;
      // What it frees counts when it leaves the trash.
      return this.#hasMade({ ...nothingMade, prunedTags, prunedManifests });
    }
    await this.#getStuck('nothing-left', levels);
  }

  /** Also where the clock of whoever did so goes before this one a little; not where it was wrong, and was set right since. */
  #hasSteppedAround(time: number): boolean {
    return Math.abs(time - this.#stepAt) < settleMs;
  }

  get #limits(): RoomLimits {
    return { mayGoOn: this.#parts.mayCollect, guard: () => this.#turn.step() };
  }

  /** Policies are asked again only after a while where they allowed nothing. */
  async #prune(neededBytes: number, now: number): Promise<PrunedForRoom | undefined> {
    if (now - this.#nothingPrunedAt < againMs.tags) return { tags: 0, manifests: 0, bytes: 0 };
    const pruned = await this.#parts.prune(neededBytes, this.#limits);
    if (pruned !== undefined && pruned.tags + pruned.manifests === 0) this.#nothingPrunedAt = now;
    return pruned;
  }

  #hasMade(step: Made): void {
    const before = this.#state.made ?? nothingMade;
    this.#set({
      stuck: undefined,
      made: {
        trashedManifests: before.trashedManifests + step.trashedManifests,
        trashedTags: before.trashedTags + step.trashedTags,
        prunedTags: before.prunedTags + step.prunedTags,
        prunedManifests: before.prunedManifests + step.prunedManifests,
        bytes: before.bytes + step.bytes,
      },
    });
    this.#parts.wakeCollector();
  }

  /** What is missing to be within the bounds at all. */
  #missingBytes({ usedBytes, highBytes = Infinity, freeBytes, reserveBytes }: Levels): number {
    return Math.max(usedBytes - highBytes, reserveBytes - freeBytes);
  }

  /** What is to be freed beyond what is on its way out. */
  #neededBytes({ usedBytes, lowBytes = Infinity, freeBytes, reserveBytes, leavingBytes }: Levels): number {
    const toLow = this.#state.overHighSince === undefined ? -Infinity : usedBytes - lowBytes;
    const toReserve =
      this.#state.underReserveSince === undefined ? -Infinity : reserveBytes * reserveMargin - freeBytes;
    return Math.ceil(Math.max(toLow, toReserve) - leavingBytes);
  }

  /** Tells it once until there is room again. */
  async #getStuck(stuck: Stuck, { usedBytes, highBytes, freeBytes }: Levels): Promise<void> {
    this.#set({ stuck });
    const { told } = this.#state;
    if (told.includes(stuck)) return;
    this.#set({ told: [...told, stuck] });
    const why = {
      'others-fill-the-disk': 'all blobs together take less than what is missing',
      'collector-paused': 'the collector is paused',
      'nothing-left': 'nothing is left that may go',
    }[stuck];
    this.#log.warn({ usedBytes, highBytes, freeBytes }, `no more room can be made: ${why}`);
    await this.#tell([this.#event('disk.stuck', freeBytes, why)]);
  }

  /** Sees which bounds were crossed, and says what is to be told of that. */
  #crossings(levels: Levels): readonly RegistryEvent[] {
    const { usedBytes, highBytes, lowBytes = 0, freeBytes, reserveBytes, leavingBytes } = levels;
    const { overHighSince, underReserveSince, stuck, made } = this.#state;
    const now = this.#parts.registry.clock.now();
    const wasNeeded = this.#isNeeded;
    const bounds = textOf(this.#parts.bounds);
    const areOthers = this.#state.bounds !== bounds;
    if (areOthers) this.#set({ bounds, stuck: undefined, told: [] });
    const events: RegistryEvent[] = [];
    if (overHighSince === undefined && usedBytes > (highBytes ?? Infinity)) {
      this.#set({ overHighSince: now });
      this.#log.warn({ usedBytes, highBytes, lowBytes }, 'storage.high was passed: room is made down to storage.low');
      events.push(this.#event('disk.high', usedBytes, `more than ${highBytes} bytes are used`));
    } else if (overHighSince !== undefined) {
      // Where others had filled the disk, the way from high down to low is theirs as well; and where it was another bound that
      // was passed, nothing has to go for this one.
      const isToHigh = areOthers || stuck === 'others-fill-the-disk';
      const doneBytes = isToHigh ? (highBytes ?? Infinity) : lowBytes;
      // While pushes go on, something is always on its way out: it makes up for what has come since.
      if (usedBytes <= (highBytes ?? Infinity) && usedBytes - leavingBytes <= doneBytes) {
        this.#set({ overHighSince: undefined });
        this.#log.info({ usedBytes, highBytes, lowBytes, ...made }, 'there is room again');
        const reason = areOthers ? 'the bounds are others now' : `no more than ${doneBytes} bytes are used and stay`;
        events.push(this.#event('disk.low', usedBytes, reason));
      }
    }
    if (underReserveSince === undefined && freeBytes < reserveBytes) {
      this.#set({ underReserveSince: now });
      this.#log.warn({ freeBytes, reserveBytes }, 'less is free than storage.reserve: new uploads are refused');
      events.push(this.#event('disk.reserve', freeBytes, `less than ${reserveBytes} bytes are free`));
    } else if (underReserveSince !== undefined && freeBytes >= reserveBytes * reserveMargin) {
      this.#set({ underReserveSince: undefined });
      this.#log.info({ freeBytes, reserveBytes }, 'new uploads are taken again');
      events.push(this.#event('disk.room', freeBytes, `more than ${reserveBytes} bytes are free`));
    }
    if (!wasNeeded && this.#isNeeded) this.#set({ made: undefined });
    return events;
  }

  #event(kind: EventKind, bytes: number, reason: string): RegistryEvent {
    return { at: this.#parts.registry.clock.now(), kind, actor: boundsActor, reason, bytes };
  }

  /** Has the others know how it stands, and writes down what has happened. Where that fails, the others learn it later. */
  async #tell(events: readonly RegistryEvent[]): Promise<void> {
    const state = JSON.stringify(this.#state);
    if (state === this.#written && events.length === 0) return;
    try {
      await this.#turn.tell(state, events);
      this.#written = state;
    } catch (error) {
      if (error instanceof TurnLostError) throw error;
      const kinds = events.map(({ kind }) => kind);
      if (kinds.length > 0) this.#log.warn({ err: error, kinds }, 'what happened could not be written down');
      else this.#log.debug({ err: error }, 'the other processes could not be told how storage stands');
      if (kinds.length > 0) await this.#tell([]);
    }
  }
}

function textOf({ high, low }: Bounds): string {
  return [high, low].map((bound) => (bound === undefined ? 'off' : formatStorageBound(bound))).join(' ');
}

import type { Registry } from '../registry/registry.ts';
import { dueReviews } from '../registry/collector-pause.ts';
import { storedNow } from '../registry/stored.ts';
import { type Bounds, type DiskSpace, type Levels, levelsOf, type Measured } from './levels.ts';
import type { PruneLeastRecentlyUsed } from './pruner.ts';
import { RoomMaker } from './room-maker.ts';
import { Samples } from './samples.ts';
import type { UploadRoom } from './upload-room.ts';

/** How often it is looked how things stand, in ms: sooner while room is being made. */
const lookEveryMs = { calm: 2000, makingRoom: 250 };
/** It is looked at once when so large a share of what is left to a bound has come in. */
const soonShare = 1 / 4;
/** But not for less than this, in bytes. */
const leastSoonBytes = 8 * 1024 * 1024;

export interface StorageParts {
  readonly registry: Registry;
  readonly bounds: Bounds;
  readonly room: UploadRoom;
  readonly measureDisk: () => Promise<DiskSpace>;
  readonly mayCollect: () => Promise<boolean>;
  readonly wakeCollector: () => void;
  readonly prune: PruneLeastRecentlyUsed;
  /** Whether this process may make room where it is short, and keep the record of it. Of all that may, one does at a time. */
  readonly makesRoom?: boolean;
}

/** Keeps what is stored within its bounds: looks every few seconds, and when much has come in since. */
export class Storage {
  readonly #parts: StorageParts;
  readonly maker: RoomMaker;
  readonly samples: Samples;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking: Promise<void> | undefined;
  #isStarted = false;
  /** What may come in before it is looked again. */
  #soonBytes = Infinity;
  /** Whether it is this process that makes room now. */
  #isMaker = false;

  constructor(parts: StorageParts) {
    this.#parts = parts;
    const { registry, bounds, prune, mayCollect, wakeCollector } = parts;
    this.maker = new RoomMaker({ registry, bounds, prune, mayCollect, wakeCollector });
    this.samples = new Samples(registry);
  }

  start(): void {
    this.#isStarted = true;
    void this.#lookQuietly();
  }

  /** Looks no more by itself; resolves when the look under way is over. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /**
   * How things stand now. The disk comes last: what has left it since the database was asked counts as still on its way out,
   * so less seems to be missing, never more.
   */
  async measure(): Promise<Measured> {
    const { measureDisk, registry } = this.#parts;
    const stored = await storedNow(registry);
    return { stored, databaseBytes: await registry.metadata.sizeBytes(), disk: await measureDisk() };
  }

  levelsOf(measured: Measured): Levels {
    return levelsOf(measured, this.#parts.bounds);
  }

  get bounds(): Bounds {
    return this.#parts.bounds;
  }

  /** Looks now, or again when the look under way is over. */
  async look(): Promise<void> {
    while (this.#looking !== undefined) await this.#looking;
    await this.#lookQuietly();
  }

  /** Bytes of uploads have come in. */
  came(bytes: number): void {
    this.#soonBytes -= bytes;
    if (this.#soonBytes <= 0 && this.#isStarted && this.#looking === undefined) void this.#lookQuietly();
  }

  async #lookQuietly(): Promise<void> {
    clearTimeout(this.#timer);
    this.#looking ??= this.#look()
      .catch((error: unknown) => {
        this.#parts.registry.log.warn({ err: error }, 'what is stored could not be compared with its bounds');
      })
      .finally(() => {
        this.#looking = undefined;
        if (!this.#isStarted) return;
        const { calm, makingRoom } = lookEveryMs;
        this.#timer = setTimeout(
          () => void this.#lookQuietly(),
          this.#isMaker && this.maker.isMakingRoom ? makingRoom : calm,
        );
        this.#timer.unref();
      });
    await this.#looking;
  }

  async #look(): Promise<void> {
    this.#soonBytes = Infinity;
    await this.#parts.room.look();
    this.#isMaker = await this.maker.takeTurn(this.#parts.makesRoom !== false);
    if (!this.#isMaker) {
      this.#soonBytes = leastSoonBytes;
      return;
    }
    const due = await dueReviews(this.#parts.registry);
    const levels = this.levelsOf(await this.measure());
    await this.maker.look(levels, due);
    await this.samples.look(levels);
    const { usedBytes, highBytes = Infinity, freeBytes, reserveBytes } = levels;
    const leftBytes = Math.min(highBytes - usedBytes, freeBytes - reserveBytes);
    this.#soonBytes = Math.max(leftBytes * soonShare, leastSoonBytes);
  }
}

import { all } from '../metadata/operation.ts';
import { storageEvents } from '../metadata/queries/outlook.ts';
import { boundsActor } from '../registry/actor.ts';
import type { Registry } from '../registry/registry.ts';
import type { Stored } from '../registry/stored.ts';
import { growthOf, reachedInMs, type Sample } from './forecast.ts';
import { type Garbage, garbageByAge, type Shared, sharedBytes } from './garbage.ts';
import type { DiskSpace, Levels } from './levels.ts';
import { type Outlook, outlookOf, type TrashFigures, trashFigures } from './outlook.ts';
import type { RoomState } from './room-state.ts';
import type { Storage } from './storage.ts';

const hourMs = 3_600_000;
/** How many of the last events are told. */
const toldEvents = 5;

/** Whether what is used is within its bounds, or was passed and what is done about it. */
export type StorageState = 'within-bounds' | 'making-room' | 'stuck' | 'others-fill-the-disk' | 'under-reserve';

/** What growth of one time leads to. */
export interface Forecast {
  readonly bytesPerDay: number;
  /** When `storage.high` is passed, in ms from now; undefined where it is not at this rate, or is off. */
  readonly highInMs: number | undefined;
  /** When new uploads will be refused. */
  readonly reserveInMs: number | undefined;
}

export interface ToldEvent {
  readonly at: number;
  readonly kind: string;
  readonly reason: string | null;
  readonly bytes: number | null;
}

export interface StorageReport {
  readonly disk: DiskSpace;
  readonly levels: Levels;
  readonly databaseBytes: number;
  readonly stored: Stored;
  readonly room: RoomState;
  readonly shared: Shared;
  readonly garbage: Garbage;
  readonly trash: TrashFigures;
  readonly outlook: Outlook;
  /** Undefined where too little is known of that time. */
  readonly forecast: { readonly day: Forecast | undefined; readonly week: Forecast | undefined };
  readonly events: readonly ToldEvent[];
}

/** Is told how many things have been looked at. */
export type OnProgress = (progress: { readonly name: string; readonly done: number }) => void;

/** How the disk and what is stored stand, and what is to come. */
export async function storageReport(
  registry: Registry,
  storage: Storage,
  onProgress: OnProgress = () => undefined,
): Promise<StorageReport> {
  const shared = await sharedBytes(registry, onProgress);
  const trash = await trashFigures(registry);
  const outlook = await outlookOf(registry);
  const garbage = await garbageByAge(registry);
  const measured = await storage.measure();
  const levels = storage.levelsOf(measured);
  const events = await registry.metadata.read(() => all(storageEvents, { actor: boundsActor.text, limit: toldEvents }));
  return {
    disk: measured.disk,
    levels,
    databaseBytes: measured.databaseBytes,
    stored: measured.stored,
    room: storage.maker.state,
    shared,
    garbage,
    trash,
    outlook,
    forecast: await forecastsOf(storage, levels),
    events,
  };
}

/** By the growth of the last day, and of the last week. */
export async function forecastsOf(
  storage: Storage,
  levels: Levels,
): Promise<{ readonly day: Forecast | undefined; readonly week: Forecast | undefined }> {
  const week = await storage.samples.last(7 * 24 * hourMs);
  const since = (week.at(-1)?.at ?? 0) - 24 * hourMs;
  const isOfDisk = storage.bounds.high?.unit !== 'bytes';
  const day = week.filter(({ at }) => at >= since);
  return { day: forecastOf(day, levels, isOfDisk), week: forecastOf(week, levels, isOfDisk) };
}

function forecastOf(samples: readonly Sample[], levels: Levels, isOfDisk: boolean): Forecast | undefined {
  const onDisk = growthOf(samples.map(({ at, diskUsedBytes }) => ({ at, bytes: diskUsedBytes })));
  const stored = growthOf(samples.map(({ at, storedBytes }) => ({ at, bytes: storedBytes })));
  const ofBound = isOfDisk ? onDisk : stored;
  if (stored === undefined || ofBound === undefined) return undefined;
  const { usedBytes, highBytes, freeBytes, reserveBytes } = levels;
  return {
    bytesPerDay: Math.round(ofBound * 24 * hourMs),
    highInMs: highBytes === undefined ? undefined : reachedInMs(usedBytes, highBytes, ofBound),
    reserveInMs: reachedInMs(0, freeBytes - reserveBytes, onDisk),
  };
}

/** In one word. */
export function stateOf(
  { usedBytes, highBytes = Infinity, freeBytes, reserveBytes }: Levels,
  room: RoomState,
): StorageState {
  if (freeBytes < reserveBytes) return 'under-reserve';
  if (room.stuck === 'others-fill-the-disk') return 'others-fill-the-disk';
  if (room.stuck !== undefined) return 'stuck';
  return room.overHighSince !== undefined || usedBytes > highBytes ? 'making-room' : 'within-bounds';
}

/** How old what the metrics say of all objects may be, in ms: it takes a walk through them. */
const maxAgeMs = 600_000;

/** A report now and then, for those who look often. */
export class Reports {
  readonly #registry: Registry;
  readonly #storage: Storage;
  #last: { readonly at: number; readonly report: StorageReport } | undefined;
  #making: Promise<void> | undefined;
  #isStopped = false;

  constructor(registry: Registry, storage: Storage) {
    this.#registry = registry;
    this.#storage = storage;
  }

  /** The last one, and a new one for the next time where that is some minutes old; undefined until there is one. */
  recent(): StorageReport | undefined {
    const now = this.#registry.clock.now();
    if (!this.#isStopped && (this.#last === undefined || now - this.#last.at > maxAgeMs)) {
      this.#making ??= this.#make(now).finally(() => {
        this.#making = undefined;
      });
    }
    return this.#last?.report;
  }

  /** Breaks off the one that is being made; resolves once none is. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#making;
  }

  async #make(at: number): Promise<void> {
    const goOn = (): void => {
      if (this.#isStopped) throw new Error('the registry is stopping');
    };
    try {
      this.#last = { at, report: await storageReport(this.#registry, this.#storage, goOn) };
    } catch (error) {
      if (!this.#isStopped) this.#registry.log.warn({ err: error }, 'how storage stands could not be found out');
    }
  }
}

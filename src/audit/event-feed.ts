import { all, first } from '../metadata/operation.ts';
import { eventsAfter, lastEvent } from '../metadata/queries/events.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { EventRow } from './event-row.ts';
import { lastSettledEvent } from './settled-event.ts';

/** Events that are read at once. */
const readAtOnce = 500;
/** Between two looks, in ms, so that following costs the same however much happens. */
const lookEveryMs = 100;
/** The same at most, while events are there that are not settled, in ms: it is told of no transaction that ends without any. */
const lookAtMostEveryMs = 1000;
/** Most transactions end in so many ms. */
const usualPatienceMs = 500;

interface FollowOptions {
  readonly heartbeatMs: number;
  /** Which events are told; all, where it is left out. */
  readonly isAskedFor?: (row: EventRow) => boolean;
  readonly signal?: AbortSignal;
}

/**
 * Tells of events once they are committed and on the disk. Nothing is kept for those who follow: each reads on from where
 * it is, when it is ready for more, so a slow one costs no memory and misses nothing.
 */
export class EventFeed {
  readonly #metadata: Pick<MetadataStore, 'read' | 'durable' | 'settledEvents'>;
  /** Who waits for events, and who only lets some time go by before the next look. */
  readonly #waiting = new Set<() => void>();
  readonly #pausing = new Set<() => void>();
  /** Grows with every commit that may have brought events. */
  #changes = 0;
  #isStopped = false;

  constructor(metadata: Pick<MetadataStore, 'read' | 'durable' | 'settledEvents'>) {
    this.#metadata = metadata;
  }

  /** Something was committed. */
  notice(): void {
    this.#changes++;
    wake(this.#waiting);
  }

  /** Ends all who follow. */
  stop(): void {
    this.#isStopped = true;
    this.#wakeAll();
  }

  /**
   * The number of the last event of which all before it are there, and on the disk; 0 where there is none.
   * @param patienceMs how long to wait for transactions that are under way
   */
  async lastId(patienceMs = usualPatienceMs): Promise<number> {
    return await lastSettledEvent(this.#metadata, patienceMs);
  }

  /** The next events after one, a batch at most. They are on the disk: no power cut takes back what is told of them. */
  async next(id: number): Promise<readonly EventRow[]> {
    const upTo = await this.#metadata.settledEvents();
    const rows = await this.#metadata.read(() => all(eventsAfter, { id, upTo, limit: readAtOnce }));
    if (rows.length > 0) await this.#metadata.durable('all');
    return rows;
  }

  /**
   * The events after one as they come, in batches; an empty one whenever none was told for `heartbeatMs`, whatever else is
   * committed meanwhile. It ends with the feed, or with the signal.
   */
  async *follow(
    after: number,
    { heartbeatMs, isAskedFor = () => true, signal }: FollowOptions,
  ): AsyncGenerator<readonly EventRow[], void, undefined> {
    const end = (): void => this.#wakeAll();
    signal?.addEventListener('abort', end);
    const isOver = (): boolean => this.#isStopped || signal?.aborted === true;
    let toldAt = performance.now();
    const dueInMs = (): number => Math.max(toldAt + heartbeatMs - performance.now(), 0);
    try {
      for (let id = after, pauseMs = lookEveryMs; !isOver();) {
        const changes = this.#changes;
        const rows = await this.next(id);
        id = rows.at(-1)?.id ?? id;
        if (rows.length > 0) pauseMs = lookEveryMs;
        const told = rows.filter(isAskedFor);
        if (told.length > 0 || (dueInMs() === 0 && !isOver())) {
          yield told;
          toldAt = performance.now();
        }
        if (rows.length === readAtOnce || isOver()) continue;
        await this.#woken(this.#pausing, Math.min(pauseMs, dueInMs()));
        if (this.#changes !== changes || isOver()) continue;
        const isMoreToCome = await this.#isAnyAfter(id);
        if (isMoreToCome) pauseMs = Math.min(2 * pauseMs, lookAtMostEveryMs);
        // Nobody is woken by what has come during that look.
        else if (this.#changes === changes && !isOver()) await this.#woken(this.#waiting, dueInMs());
      }
    } finally {
      signal?.removeEventListener('abort', end);
    }
  }

  /**
   * The same of what is committed once this has resolved. A process that has just started may know of no event, as long as
   * some transaction goes on, that all before it are there: then it begins a batch before the newest one, and leaves out
   * what is there already.
   */
  async followNew({
    isAskedFor = () => true,
    ...options
  }: FollowOptions): Promise<AsyncGenerator<readonly EventRow[], void, undefined>> {
    const settled = await this.lastId();
    const newest = (await this.#metadata.read(() => first(lastEvent, {})))?.id ?? 0;
    const after = Math.max(settled, newest - readAtOnce);
    const rows = await this.#metadata.read(() => all(eventsAfter, { id: after, upTo: newest, limit: readAtOnce }));
    const old = new Set(rows.map(({ id }) => id));
    return this.follow(after, { ...options, isAskedFor: (row) => !old.delete(row.id) && isAskedFor(row) });
  }

  /** Whether there are events after one that has been told, which were not settled when it was looked. */
  async #isAnyAfter(id: number): Promise<boolean> {
    return ((await this.#metadata.read(() => first(lastEvent, {})))?.id ?? 0) > id;
  }

  #wakeAll(): void {
    wake(this.#waiting);
    wake(this.#pausing);
  }

  /** Resolves after a time, or once those who wait in `waiting` are woken. */
  async #woken(waiting: Set<() => void>, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    waiting.add(resolve);
    await promise;
    clearTimeout(timer);
    waiting.delete(resolve);
  }
}

function wake(waiting: ReadonlySet<() => void>): void {
  for (const resolve of waiting) resolve();
}

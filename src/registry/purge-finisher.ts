import type { BlobStore, ObjectId, Shredding } from '../blobs/store.ts';
import type { Log } from '../log/log.ts';
import { all, change, first, type Operation } from '../metadata/operation.ts';
import { nextDayOfPulls } from '../metadata/queries/history.ts';
import { deleteDeadObject } from '../metadata/queries/objects.ts';
import {
  anyManifestPurged,
  countPlaces,
  objectsLeftOf,
  placesAfter,
  pullsOnDays,
  recordPlacePulls,
} from '../metadata/queries/purge-places.ts';
import { findPurge, markPurgeChecked, markPurgeRemoved, unfinishedPurges } from '../metadata/queries/purges.ts';
import { deleteTask } from '../metadata/queries/tasks.ts';
import type { PurgePlaceTable } from '../metadata/schema.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { purgeActor } from './actor.ts';
import type { Clock } from './clock.ts';
import { recordEvent } from './events.ts';
import { checkPurge } from './purge-check.ts';
import { type PurgeResult, unreachedBy } from './purge-result.ts';
import type { PullRecorder } from './pull-recorder.ts';
import type { Responses } from './responses.ts';
import { DatabaseOutdatedError, type StoreGeneration } from './store-generation.ts';

/** How soon a removal that failed is tried again, in ms. */
const retryMs = 10_000;
/** Places that are looked at in one go. */
const placesPerStep = 200;

export interface PurgeFinisherParts {
  readonly metadata: MetadataStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly generation: Pick<StoreGeneration, 'beforeRemoval'>;
  readonly responses: Responses;
  readonly pulls: Pick<PullRecorder, 'flushQuietly'>;
}

/**
 * Brings purges to their end whose transaction is committed: breaks off the responses that send the content, removes its
 * bytes, forgets its objects (T_forget), and looks whether anything is left. Each step may be done again (I12), so that
 * a purge which was interrupted is finished by doing it from the beginning.
 */
export class PurgeFinisher {
  readonly #parts: PurgeFinisherParts;
  /** Those under way: a second call waits for the first. */
  readonly #running = new Map<number, Promise<void>>();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(parts: PurgeFinisherParts) {
    this.#parts = parts;
  }

  /** Finishes what was begun before; to be called before anything is served. */
  async resume(): Promise<void> {
    for (const { id } of await this.#parts.metadata.read(() => all(unfinishedPurges, {}))) await this.finish(id);
  }

  /** Finishes a purge. Where the machine fails at it, that is logged, and it is tried again later. */
  async finish(id: number): Promise<void> {
    const running = this.#running.get(id) ?? this.#finish(id).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    try {
      await running;
    } catch (error) {
      this.#parts.log.error({ err: error, purge: id }, 'a purge could not be finished yet; it is tried again');
      this.#tryAgain();
    }
  }

  /** Tries nothing again any more; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    await Promise.all([...this.#running.values()].map((running) => running.catch(() => undefined)));
  }

  #tryAgain(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.resume().catch((error: unknown) => {
        this.#parts.log.error({ err: error }, 'unfinished purges could not be read; it is tried again');
        this.#tryAgain();
      });
    }, retryMs);
    this.#retry.unref();
  }

  async #finish(id: number): Promise<void> {
    const { metadata, blobs, clock, pulls, responses } = this.#parts;
    const row = await metadata.read(() => first(findPurge, { purge: id }));
    if (row === undefined || row.checked_at !== null) return;
    const objects = (await metadata.read(() => all(objectsLeftOf, { purge: id }))).map(({ oid }) => oid);
    let responsesCut = 0;
    for (const oid of objects) responsesCut += responses.cut(oid);
    let shredding: Shredding | undefined;
    for (const oid of objects) {
      const shredded = await this.#remove(oid, row.is_shredding === 1);
      shredding = shredding?.isDone === false ? shredding : shredded;
    }
    // Only where manifests were purged themselves: those that needed something hold no more than its digest.
    const isOfManifest = await metadata.read(() => first(anyManifestPurged, { purge: id }));
    const isLogEmptied = isOfManifest === undefined || (await metadata.forgetOldPages());
    const removedAt = clock.now();
    await metadata.write(() => change(markPurgeRemoved, { purge: id, at: removedAt }), { fromReserve: true });

    await pulls.flushQuietly();
    await this.#recordPulls(id);
    const oids = await this.#namesOf(id, 'object');
    const checks = await checkPurge({ metadata, blobs }, id, oids);
    const counts = await metadata.read(() => all(countPlaces, { purge: id }));
    const result: PurgeResult = {
      responsesCut,
      ...(shredding !== undefined && { shredding }),
      isLogEmptied,
      checks: checks.map(({ where, found }) => ({ where, found: [...found] })),
      unreached: [
        ...unreachedBy({
          responsesCut,
          isLogEmptied,
          quarantined: await blobs.quarantinedCount(),
          openUploads: counts.find(({ kind }) => kind === 'upload')?.count ?? 0,
        }),
      ],
    };
    const left = checks.flatMap(({ found }) => found);
    await metadata.write(() => this.#close(id, result, left), { fromReserve: true });
  }

  *#close(id: number, result: PurgeResult, left: readonly string[]): Operation<void> {
    const at = this.#parts.clock.now();
    yield* change(markPurgeChecked, { purge: id, at, result: JSON.stringify(result) });
    const reason =
      left.length === 0 ? `nothing is left of purge ${id}` : `${left.length} things are left of purge ${id}`;
    yield* recordEvent({ at, kind: 'purge.checked', actor: purgeActor, reason });
  }

  /** The bytes of a dead object, at once: X2 lies between the second and the third step. */
  async #remove(oid: ObjectId, isShredding: boolean): Promise<Shredding | undefined> {
    const { metadata, blobs } = this.#parts;
    await this.#beforeRemoval();
    const shredding = isShredding ? await this.#shred(oid) : undefined;
    await blobs.truncate(oid, 0);
    await blobs.remove(oid);
    await blobs.removeQuarantined(oid);
    await metadata.writeUnsynced(
      function* forget(): Operation<void> {
        yield* change(deleteDeadObject, { oid });
        yield* change(deleteTask, { kind: 'object', key1: oid, key2: '' });
      },
      { fromReserve: true },
    );
    return shredding;
  }

  /** What cannot be overwritten is removed all the same. */
  async #shred(oid: ObjectId): Promise<Shredding> {
    try {
      return await this.#parts.blobs.shred(oid);
    } catch (error) {
      this.#parts.log.error({ err: error, oid }, 'an object could not be overwritten before it is removed');
      return { isDone: false, words: `the bytes could not be overwritten: ${String(error)}` };
    }
  }

  /** A database that is older than the blobs may not know what needs an object, but does know what this one is. */
  async #beforeRemoval(): Promise<void> {
    try {
      await this.#parts.generation.beforeRemoval();
    } catch (error) {
      if (!(error instanceof DatabaseOutdatedError)) throw error;
    }
  }

  async #namesOf(purge: number, kind: PurgePlaceTable['kind']): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const place of this.#places(purge, kind)) names.push(place.name);
    return names;
  }

  /** How often what was purged had been pulled, of what the history of pulls still has. */
  async #recordPulls(purge: number): Promise<void> {
    const { metadata } = this.#parts;
    const days = await metadata.read(daysOfPulls);
    if (days.length === 0) return;
    for await (const { repo, digest } of this.#places(purge, 'manifest')) {
      if (repo === '' || digest === '') continue;
      const found = await metadata.read(() => first(pullsOnDays, { repo, digest, days }));
      const { pulls, last_at: lastAt } = found ?? { pulls: null, last_at: null };
      if (pulls === null) continue;
      await metadata.writeUnsynced(() => change(recordPlacePulls, { purge, repo, digest, pulls, lastAt }));
    }
  }

  async *#places(purge: number, kind: PurgePlaceTable['kind']): AsyncGenerator<PurgePlaceTable, void, undefined> {
    let after = { kind: kind, repo: '', digest: '', name: '' };
    for (;;) {
      const from = after;
      const page = await this.#parts.metadata.read(() => all(placesAfter, { purge, ...from, limit: placesPerStep }));
      for (const place of page) {
        if (place.kind !== kind) return;
        yield place;
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = { kind, repo: last.repo, digest: last.digest, name: last.name };
    }
  }
}

/** The days of which pulls are remembered. */
function* daysOfPulls(): Operation<readonly string[]> {
  const days: string[] = [];
  for (let next = yield* first(nextDayOfPulls, { after: -1 }); next !== undefined;) {
    days.push(String(next.day));
    next = yield* first(nextDayOfPulls, { after: next.day });
  }
  return days;
}

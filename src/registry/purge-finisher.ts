import { setTimeout as sleep } from 'node:timers/promises';
import type { BlobStore, ObjectId, Shredded } from '../blobs/store.ts';
import type { Log } from '../log/log.ts';
import { all, change, first, type Operation } from '../metadata/operation.ts';
import { nextDayOfPulls } from '../metadata/queries/history.ts';
import {
  anyManifestPurged,
  objectsLeftOf,
  placeObjects,
  placesAfter,
  pullsOnDays,
  recordPlacePulls,
  recordShredded,
} from '../metadata/queries/purge-places.ts';
import {
  addResponsesCut,
  digestsOfPurge,
  findPurge,
  markPurgeChecked,
  markPurgeRemoved,
  markPurgeWaiting,
  unfinishedPurges,
} from '../metadata/queries/purges.ts';
import {
  claimPurge,
  confirmedProcesses,
  confirmPurge,
  deleteConfirmations,
  purgesToConfirm,
  unconfirmedProcesses,
} from '../metadata/queries/processes.ts';
import { countOpenUploads } from '../metadata/queries/uploads.ts';
import type { PurgePlaceTable } from '../metadata/schema.ts';
import type { Digest } from '../oci/digest.ts';
import { processes as processesMigration } from '../metadata/migrations/0023-processes.ts';
import { type MetadataStore, RegistryReadOnlyError } from '../metadata/store.ts';
import { purgeActor } from './actor.ts';
import type { Clock } from './clock.ts';
import { recordEvent } from './events.ts';
import { forgetObject } from './forget-object.ts';
import type { Immutability } from './immutability.ts';
import { isAmongOthers, type Processes } from './processes.ts';
import { checkPurge, type PurgeCheck } from './purge-check.ts';
import { recordConsequences } from './purge-consequences.ts';
import { type PurgeResult, pullsKnown, shreddingOf, unreachedBy } from './purge-result.ts';
import { dropWholeUploads, type PurgedContent } from './purge-uploads.ts';
import type { PullRecorder } from './pull-recorder.ts';
import { askToCut, hearOfCuts } from './purge-cut.ts';
import type { Siblings } from './siblings.ts';
import type { Responses } from './responses.ts';
import { DatabaseOutdatedError, type StoreGeneration } from './store-generation.ts';

/** How soon a removal that failed is tried again, in ms. */
const retryMs = 10_000;
/** Places that are looked at in one go. */
const placesPerStep = 200;
/** How often it is looked whether anything is left: uploads of it may end meanwhile, and be refused. */
const mostLooks = 20;
/** How long a request waits for other processes to break off what they send, in ms; and how often it is looked meanwhile. */
const confirmation = { withinMs: 5000, lookMs: 500 };

/** What has been broken off is written down also where nothing may be changed. */
const always = { fromReserve: true, whileReadOnly: true };

/** Why a purge cannot be finished yet, though nothing has failed. */
class PurgeWaitsError extends Error {
  override readonly name = 'PurgeWaitsError';
}

export interface PurgeFinisherParts {
  readonly metadata: MetadataStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly generation: Pick<StoreGeneration, 'beforeRemoval'>;
  readonly responses: Responses;
  readonly siblings: Siblings;
  readonly pulls: Pick<PullRecorder, 'flushQuietly'>;
  readonly immutability: Immutability;
  readonly processes: Processes;
}

/**
 * Brings purges to their end whose transaction is committed: breaks off the responses that send the content, removes its
 * bytes, forgets its objects (T_forget), and looks whether anything is left. Each step may be done again (I12), so that
 * a purge which was interrupted is finished by doing it from the beginning.
 *
 * Of several processes that share the metadata, one finishes a purge: another takes it over once that one has ended. Each
 * breaks off what it sends of it itself, and says so; it is not finished before all have that live.
 */
export class PurgeFinisher {
  readonly #parts: PurgeFinisherParts;
  /** Those under way: a second call waits for the first. */
  readonly #running = new Map<number, Promise<void>>();
  /** Those that an earlier process has begun, which has told nobody what it has broken off. */
  readonly #resumed = new Set<number>();
  /** Responses that were broken off for a purge, and are not written down yet. */
  readonly #responsesCut = new Map<number, number>();
  /** Processes that were waited for, by the purge: of one that is gone since, nobody knows what it has broken off. */
  readonly #waitedFor = new Map<number, Set<string>>();
  /** Wakes who waits for other processes. */
  #confirmed = Promise.withResolvers<void>();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(parts: PurgeFinisherParts) {
    this.#parts = parts;
    hearOfCuts(parts);
    parts.processes.onBeat(async () => await this.#heedOthers());
    parts.processes.onSilent(async () => await parts.blobs.cutRemoved(parts.responses.cutAll()));
    parts.metadata.onAnnouncement((topic) => {
      if (topic !== 'confirmed') return;
      this.#confirmed.resolve();
      this.#confirmed = Promise.withResolvers();
    });
  }

  /** Has the others wait for what this process breaks off; to be called before it serves anything. */
  async join(): Promise<void> {
    await this.#parts.processes.join();
  }

  /** Who finishes a purge that begins now: this process, where several share the metadata. */
  *finisher(): Operation<string | null> {
    const { id } = this.#parts.processes;
    return id !== null && (yield* isAmongOthers(id)) ? id : null;
  }

  /** Finishes what was begun before, and nobody else is at; to be called before anything is served. */
  async resume(): Promise<void> {
    for (const id of await this.#unfinished()) {
      this.#resumed.add(id);
      await this.finish(id);
    }
  }

  async #finishAll(): Promise<void> {
    for (const id of await this.#unfinished()) await this.finish(id);
  }

  /** The purges to be finished that no other process is at. */
  async #unfinished(): Promise<readonly number[]> {
    const { metadata, processes } = this.#parts;
    const rows = await metadata.read(() => all(unfinishedPurges, {}));
    const isFree = (finisher: string | null): boolean => finisher === null || finisher === processes.id;
    return rows.filter(({ finisher }) => !processes.areSeveral || isFree(finisher)).map(({ id }) => id);
  }

  /** Breaks off what other processes purge, and takes over what those have left that have ended. */
  async #heedOthers(): Promise<void> {
    const { metadata, processes } = this.#parts;
    const { id: process } = processes;
    if (process === null) return;
    for (const { id } of await metadata.read(() => all(purgesToConfirm, { process }))) await this.#confirm(id, process);
    if (this.#isStopped) return;
    for (const { id, finisher } of await metadata.read(() => all(unfinishedPurges, {}))) {
      // Its own that failed are tried again in their time.
      if (finisher !== null || this.#running.has(id)) continue;
      this.#resumed.add(id);
      void this.finish(id);
    }
  }

  /** Breaks off what this process sends of a purge, and says so. */
  async #confirm(purge: number, process: string): Promise<void> {
    const { metadata, blobs } = this.#parts;
    const digests = await this.#digestsOf(purge);
    const objects = (await this.#namesOf(purge, 'object')).map((oid) => ({ oid }));
    const sent = await this.#cut(purge, digests, objects);
    if (sent.size > 0) await blobs.cutRemoved(sent);
    await metadata.writeUnsynced(
      function* confirm(): Operation<void> {
        if (yield* isAmongOthers(process)) yield* change(confirmPurge, { purge, process });
      },
      // What is not sent any more is not sent, whatever may be changed.
      always,
    );
    metadata.announce('confirmed');
  }

  async #digestsOf(purge: number): Promise<readonly Digest[]> {
    const rows = await this.#parts.metadata.read(() => all(digestsOfPurge, { purge }));
    return rows.filter(({ lifted_at: liftedAt }) => liftedAt === null).map(({ digest }) => digest);
  }

  /** Whether it is for this process to finish a purge. */
  async #claim(purge: number): Promise<boolean> {
    const { metadata, processes } = this.#parts;
    if (!processes.areSeveral) return true;
    await processes.join();
    const { id: process } = processes;
    if (process === null) return false;
    return await metadata.writeUnsynced(
      function* claim(): Operation<boolean> {
        if (!(yield* isAmongOthers(process))) return false;
        return (yield* change(claimPurge, { purge, process })) > 0;
      },
      { fromReserve: true },
    );
  }

  /** Resolves when no other process that lives may be sending anything of a purge. @throws PurgeWaitsError */
  async #untilConfirmed(purge: number): Promise<void> {
    const { metadata, processes } = this.#parts;
    if (!processes.areSeveral) return;
    const deadline = performance.now() + confirmation.withinMs;
    const waitedFor = this.#waitedFor.get(purge) ?? new Set();
    this.#waitedFor.set(purge, waitedFor);
    for (;;) {
      const confirmed = this.#confirmed.promise;
      const waiting = await metadata.read(() => all(unconfirmedProcesses, { purge, process: processes.id ?? '' }));
      if (waiting.length === 0) return;
      for (const { id } of waiting) waitedFor.add(id);
      if (performance.now() >= deadline || this.#isStopped) {
        throw new PurgeWaitsError(
          `other processes have not said yet that they send none of it (${waiting.map(({ name }) => name).join(', ')}); one that has ended without a word is taken for gone within a minute`,
        );
      }
      await Promise.race([confirmed, sleep(confirmation.lookMs)]);
    }
  }

  /** Whether a process was waited for that has gone without having said what it has broken off. */
  async #wasAnyGone(purge: number): Promise<boolean> {
    const waitedFor = this.#waitedFor.get(purge) ?? new Set();
    if (waitedFor.size === 0) return false;
    const confirmed = await this.#parts.metadata.read(() => all(confirmedProcesses, { purge }));
    return waitedFor.difference(new Set(confirmed.map(({ process }) => process))).size > 0;
  }

  /** Finishes a purge. Where the machine fails at it, that is logged, and it is tried again later. */
  async finish(id: number): Promise<void> {
    const running = this.#running.get(id) ?? this.#finish(id).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    try {
      await running;
    } catch (error) {
      await this.#putOff(id, error);
    }
  }

  async #putOff(id: number, error: unknown): Promise<void> {
    const { log, metadata } = this.#parts;
    const reason = error instanceof Error ? error.message : String(error);
    const isWaiting = error instanceof PurgeWaitsError || error instanceof RegistryReadOnlyError;
    if (isWaiting) log.warn({ purge: id, reason }, 'a purge is not finished yet; it is tried again');
    else log.error({ err: error, purge: id }, 'a purge could not be finished yet; it is tried again');
    try {
      await metadata.writeUnsynced(() => change(markPurgeWaiting, { purge: id, reason }), always);
    } catch (failure) {
      log.error({ err: failure, purge: id }, 'why a purge is not finished could not be written into its record');
    }
    this.#tryAgain();
  }

  /** Tries nothing again any more; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    await Promise.all([...this.#running.values()].map((running) => running.catch(() => undefined)));
    await this.#parts.processes.leave();
  }

  #tryAgain(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#finishAll().catch((error: unknown) => {
        this.#parts.log.error({ err: error }, 'unfinished purges could not be read; it is tried again');
        this.#tryAgain();
      });
    }, retryMs);
    this.#retry.unref();
  }

  async #finish(id: number): Promise<void> {
    const { metadata, blobs, pulls } = this.#parts;
    const row = await metadata.read(() => first(findPurge, { purge: id }));
    if (row === undefined || row.checked_at !== null || !(await this.#claim(id))) return;
    metadata.announce('purge');
    const isShredding = row.is_shredding === 1;
    let checks = await this.#removeAndCheck(id, isShredding);
    const ended = await dropWholeUploads(this.#parts, id, await this.#contentsOf(id));
    if (ended > 0) checks = await this.#removeAndCheck(id, isShredding);
    for (let looks = 1; looks < mostLooks && isAnythingLeft(checks); looks++) {
      checks = await this.#removeAndCheck(id, isShredding);
    }

    await this.#untilConfirmed(id);
    await pulls.flushQuietly();
    const days = await this.#recordPulls(id);
    await recordConsequences(this.#parts, id);
    const responsesCut = (await metadata.read(() => first(findPurge, { purge: id })))?.responses_cut ?? 0;
    const isCutAtLeast = this.#resumed.has(id) || (await this.#wasAnyGone(id));
    const shredding = isShredding ? shreddingOf(await Array.fromAsync(this.#places(id, 'object'))) : undefined;
    const openUploads = (await metadata.read(() => first(countOpenUploads, {})))?.count ?? 0;
    const quarantined = await blobs.quarantinedCount();
    const { lateWritesMs } = blobs;
    // A manifest that needs something may have it in itself (`data` of a descriptor).
    const oldPages = (await this.#hasPlaces(id, 'manifest')) ? await metadata.forgetOldPages() : undefined;
    const result: PurgeResult = {
      responsesCut,
      isCutAtLeast,
      ...(shredding !== undefined && { shredding }),
      pullsKnown: pullsKnown(days.length === 0 ? undefined : Number(days[0])),
      checks: checks.map(({ where, found }) => ({ where, found: [...found] })),
      unreached: [
        ...unreachedBy({
          responsesCut,
          isCutAtLeast,
          oldPages,
          quarantined,
          openUploads,
          lateWritesMs,
          mayKeepRemoved: blobs.mayKeepRemoved,
          // One that has ended meanwhile sends nothing any more.
          notHeededBy: await metadata.processesBefore(processesMigration.number),
        }),
      ],
    };
    const left = checks.flatMap(({ found }) => found);
    await metadata.write(() => this.#close(id, result, left), { fromReserve: true });
    this.#resumed.delete(id);
    this.#waitedFor.delete(id);
  }

  /** Removes what there is of a purge, and looks what is left. @throws where the machine fails at any of it */
  async #removeAndCheck(id: number, isShredding: boolean): Promise<readonly PurgeCheck[]> {
    const { metadata, blobs, clock } = this.#parts;
    const digests = await this.#digestsOf(id);
    const objects = await this.#objectsOf(id, digests);
    const sent = await this.#cut(id, digests, objects);
    const failures: Error[] = [];
    const removed = new Map(objects.map(({ oid, shredded }) => [oid, shredded]));
    // What the registry knows no more may still be sent, or be put aside.
    for (const oid of new Set([...removed.keys(), ...sent])) {
      try {
        await this.#remove(id, oid, isShredding ? { before: removed.get(oid) ?? null } : undefined);
      } catch (error) {
        failures.push(error instanceof Error ? error : new Error(String(error)));
      }
    }
    if (sent.size > 0) await blobs.cutRemoved(sent);
    const [failure] = failures;
    if (failure !== undefined) {
      const message = `${failures.length} of ${removed.size} objects could not be removed: ${failure.message}`;
      throw new AggregateError(failures, message);
    }

    // Of those that only needed what is purged, see below.
    const isOfManifest = await metadata.read(() => first(anyManifestPurged, { purge: id }));
    if (isOfManifest !== undefined && (await metadata.forgetOldPages()) === 'being-read') {
      throw new PurgeWaitsError(
        "the database's log still has older states of its pages, because something reads them, such as a check, a backup or another program that has the database open",
      );
    }
    const removedAt = clock.now();
    await metadata.write(() => change(markPurgeRemoved, { purge: id, at: removedAt }), { fromReserve: true });
    return await checkPurge({ metadata, blobs }, id, await this.#namesOf(id, 'object'));
  }

  /** Breaks off whoever is sent any of it. @returns which objects they were sent */
  async #cut(
    purge: number,
    digests: readonly Digest[],
    objects: readonly { readonly oid: ObjectId }[],
  ): Promise<ReadonlySet<ObjectId>> {
    const { metadata, responses, siblings } = this.#parts;
    const oids = objects.map(({ oid }) => oid);
    const here = responses.cut(digests, oids);
    const elsewhere = await askToCut(siblings, digests, oids);
    const sent = new Set([...here.oids, ...elsewhere.oids]);
    const count = here.count + elsewhere.count;
    const total = (this.#responsesCut.get(purge) ?? 0) + count;
    if (total > 0) {
      this.#responsesCut.set(purge, total);
      await this.#note(async () => {
        await metadata.writeUnsynced(() => change(addResponsesCut, { purge, count: total }), always);
        this.#responsesCut.delete(purge);
      });
    }
    return sent;
  }

  /** Those whose bytes may be there: also of uploads that have been refused since. */
  async #objectsOf(purge: number, digests: readonly Digest[]): Promise<readonly PlacedObject[]> {
    const { metadata } = this.#parts;
    await this.#note(async () => {
      await metadata.writeUnsynced(() => placeObjectsOf(purge, digests), { fromReserve: true });
    });
    return await metadata.read(() => all(objectsLeftOf, { purge }));
  }

  /** Writes something down where that can be done: what cannot be noted must be removed all the same. */
  async #note(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'what comes of a purge could not be written into its record');
    }
  }

  *#close(id: number, result: PurgeResult, left: readonly string[]): Operation<void> {
    const at = this.#parts.clock.now();
    // Where this process was taken for gone meanwhile, another one may have been here.
    if ((yield* first(findPurge, { purge: id }))?.checked_at !== null) return;
    yield* change(deleteConfirmations, { purge: id });
    yield* change(markPurgeChecked, { purge: id, at, result: JSON.stringify(result) });
    const reason =
      left.length === 0 ? `nothing is left of purge ${id}` : `${left.length} things are left of purge ${id}`;
    yield* recordEvent({ at, kind: 'purge.checked', actor: purgeActor, reason });
  }

  /**
   * The bytes of a dead object, at once: X2 lies between the second and the third step.
   *
   * @param shredding where they are to be overwritten before, and what came of that the last time
   */
  async #remove(
    purge: number,
    oid: ObjectId,
    shredding: { readonly before: Shredded['outcome'] | null } | undefined,
  ): Promise<void> {
    const { metadata, blobs, clock } = this.#parts;
    await this.#beforeRemoval();
    if (shredding !== undefined) {
      const { outcome, words } = await this.#shred(oid);
      // What was done before it was interrupted has been done.
      if (outcome !== 'gone' || shredding.before === null) {
        await this.#note(async () => {
          await metadata.write(() => change(recordShredded, { purge, oid, outcome, words }), { fromReserve: true });
        });
      }
    }
    let uncut: { readonly error: unknown } | undefined;
    try {
      await blobs.truncate(oid, 0);
    } catch (error) {
      // Some file systems need room even for that. Who reads it is cut off once more when it is tried again.
      uncut = { error };
    }
    const removedAt = clock.now();
    await blobs.remove(oid);
    await blobs.removeQuarantined(oid);
    if (uncut !== undefined) throw uncut.error;
    await metadata.writeUnsynced(() => forgetObject(oid, { blobs, removedAt }), { fromReserve: true });
  }

  /** What cannot be overwritten is removed all the same. */
  async #shred(oid: ObjectId): Promise<Shredded> {
    try {
      return await this.#parts.blobs.shred(oid);
    } catch (error) {
      this.#parts.log.error({ err: error, oid }, 'an object could not be overwritten before it is removed');
      return { outcome: 'not-overwritten', words: `the bytes could not be overwritten: ${String(error)}` };
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

  /** What it keeps out whose length is known, as it was here. */
  async #contentsOf(purge: number): Promise<readonly PurgedContent[]> {
    const keptOut = new Set<string>();
    for (const { digest, lifted_at: liftedAt } of await this.#parts.metadata.read(() => all(digestsOfPurge, { purge })))
      if (liftedAt === null) keptOut.add(digest);
    const contents = new Map<Digest, number>();
    for await (const { digest, size_bytes: sizeBytes } of this.#places(purge, 'object')) {
      // That of a copy whose upload was dropped may not be known.
      if (digest !== '' && keptOut.has(digest) && (sizeBytes ?? 0) > (contents.get(digest) ?? 0))
        contents.set(digest, sizeBytes ?? 0);
    }
    return [...contents].map(([digest, sizeBytes]) => ({ digest, sizeBytes }));
  }

  async #hasPlaces(purge: number, kind: PurgePlaceTable['kind']): Promise<boolean> {
    for await (const _ of this.#places(purge, kind)) return true;
    return false;
  }

  async #namesOf(purge: number, kind: PurgePlaceTable['kind']): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const place of this.#places(purge, kind)) names.push(place.name);
    return names;
  }

  /** How often what was purged had been pulled, of what the history of pulls still has. @returns the days that it has */
  async #recordPulls(purge: number): Promise<readonly string[]> {
    const { metadata } = this.#parts;
    const days = await metadata.read(daysOfPulls);
    if (days.length === 0) return days;
    for await (const { repo, digest } of this.#places(purge, 'manifest')) {
      if (repo === '' || digest === '') continue;
      const found = await metadata.read(() => first(pullsOnDays, { repo, digest, days }));
      const { pulls, last_at: lastAt } = found ?? { pulls: null, last_at: null };
      if (pulls === null) continue;
      await metadata.writeUnsynced(() => change(recordPlacePulls, { purge, repo, digest, pulls, lastAt }));
    }
    return days;
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

interface PlacedObject {
  readonly oid: ObjectId;
  readonly shredded: Shredded['outcome'] | null;
}

function* placeObjectsOf(purge: number, digests: readonly Digest[]): Operation<void> {
  for (const digest of digests) yield* change(placeObjects, { purge, digest });
}

function isAnythingLeft(checks: readonly PurgeCheck[]): boolean {
  return checks.some(({ found }) => found.length > 0);
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

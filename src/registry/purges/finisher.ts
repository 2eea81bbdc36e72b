import { all, change, first, type Operation } from '../../metadata/operation.ts';
import { claimPurge, deleteConfirmations } from '../../metadata/queries/processes.ts';
import { findPurge, markPurgeChecked, markPurgeWaiting, unfinishedPurges } from '../../metadata/queries/purges.ts';
import { countOpenUploads } from '../../metadata/queries/uploads.ts';
import { processes as processesMigration } from '../../metadata/migrations/0023-processes.ts';
import { RegistryReadOnlyError } from '../../metadata/store.ts';
import { purgeActor } from '../actor.ts';
import { recordEvent } from '../events.ts';
import type { Immutability } from '../immutability.ts';
import { isAmongOthers, type Processes } from '../processes.ts';
import type { PurgeCheck } from './check.ts';
import { PurgeConfirmations } from './confirmations.ts';
import { recordConsequences } from './consequences.ts';
import { hearOfCuts } from './cut.ts';
import { PurgeErasure, type PurgeErasureParts } from './erasure.ts';
import { type PurgeResult, pullsKnown, shreddingOf, unreachedBy } from './result.ts';
import { dropWholeUploads } from './uploads.ts';
import { evenReadOnly } from '../even-read-only.ts';
import { PurgeWaitsError } from './waits.ts';
import type { PullRecorder } from '../pull-recorder.ts';
import { contentsKeptOut, hasPlaces, purgedPlaces } from './purged-places.ts';
import { recordPurgedPulls } from './purged-pulls.ts';

/** How soon a removal that failed is tried again, in ms. */
const retryMs = 10_000;
/** How often it is looked whether anything is left: uploads of it may end meanwhile, and be refused. */
const mostLooks = 20;

export interface PurgeFinisherParts extends PurgeErasureParts {
  readonly pulls: Pick<PullRecorder, 'flushQuietly'>;
  readonly immutability: Immutability;
  readonly processes: Processes;
}

/**
 * Brings purges to their end whose transaction is committed: has their content erased, and writes down what came of it. One
 * that was interrupted is finished by doing it from the beginning (I12).
 *
 * Of several processes that share the metadata, one finishes a purge: another takes it over once that one has ended. It is
 * not finished before all that live have said that they send nothing of it.
 */
export class PurgeFinisher {
  readonly #parts: PurgeFinisherParts;
  readonly #erasure: PurgeErasure;
  readonly #confirmations: PurgeConfirmations;
  /** Those under way: a second call waits for the first. */
  readonly #running = new Map<number, Promise<void>>();
  /** Those that failed, and are tried again in their time. */
  readonly #waiting = new Set<number>();
  /** Those that an earlier process has begun, which has told nobody what it has broken off. */
  readonly #resumed = new Set<number>();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(parts: PurgeFinisherParts) {
    this.#parts = parts;
    this.#erasure = new PurgeErasure(parts);
    this.#confirmations = new PurgeConfirmations(parts, this.#erasure);
    hearOfCuts(parts);
    parts.processes.onBeat(async () => await this.#heedOthers());
    parts.processes.onSilent(async () => await parts.blobs.cutRemoved(parts.responses.cutAll()));
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

  /**
   * Breaks off what other processes purge, and takes over what those have left that have ended; also what this one has
   * begun and does not know of, since the database's answer was lost.
   */
  async #heedOthers(): Promise<void> {
    const { metadata, processes } = this.#parts;
    const { id: process } = processes;
    if (process === null) return;
    await this.#confirmations.confirmAll(process);
    if (this.#isStopped) return;
    for (const { id, finisher } of await metadata.read(() => all(unfinishedPurges, {}))) {
      if (this.#running.has(id)) continue;
      if (finisher === null) this.#resumed.add(id);
      else if (finisher !== process || this.#waiting.has(id)) continue;
      void this.finish(id);
    }
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

  /** Finishes a purge. Where the machine fails at it, that is logged, and it is tried again later. */
  async finish(id: number): Promise<void> {
    this.#waiting.delete(id);
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
    this.#waiting.add(id);
    const reason = error instanceof Error ? error.message : String(error);
    const isWaiting = error instanceof PurgeWaitsError || error instanceof RegistryReadOnlyError;
    if (isWaiting) log.warn({ purge: id, reason }, 'a purge is not finished yet; it is tried again');
    else log.error({ err: error, purge: id }, 'a purge could not be finished yet; it is tried again');
    try {
      await metadata.writeUnsynced(() => change(markPurgeWaiting, { purge: id, reason }), evenReadOnly);
    } catch (failure) {
      log.error({ err: failure, purge: id }, 'why a purge is not finished could not be written into its record');
    }
    this.#tryAgain();
  }

  /** Tries nothing again any more; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#confirmations.stop();
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
    let checks = await this.#erasure.removeAndCheck(id, isShredding);
    const ended = await dropWholeUploads(this.#parts, id, await contentsKeptOut(metadata, id));
    if (ended > 0) checks = await this.#erasure.removeAndCheck(id, isShredding);
    for (let looks = 1; looks < mostLooks && isAnythingLeft(checks); looks++) {
      checks = await this.#erasure.removeAndCheck(id, isShredding);
    }

    await this.#confirmations.untilConfirmed(id);
    await pulls.flushQuietly();
    const days = await recordPurgedPulls(metadata, id);
    await recordConsequences(this.#parts, id);
    const responsesCut = (await metadata.read(() => first(findPurge, { purge: id })))?.responses_cut ?? 0;
    const isCutAtLeast = this.#resumed.has(id) || (await this.#confirmations.wasAnyGone(id));
    const shredding = isShredding
      ? shreddingOf(await Array.fromAsync(purgedPlaces(metadata, id, 'object')))
      : undefined;
    const openUploads = (await metadata.read(() => first(countOpenUploads, {})))?.count ?? 0;
    const quarantined = await blobs.quarantinedCount();
    const { lateWritesMs } = blobs;
    // A manifest that needs something may have it in itself (`data` of a descriptor).
    const oldPages = (await hasPlaces(metadata, id, 'manifest')) ? await metadata.forgetOldPages() : undefined;
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
    this.#confirmations.forget(id);
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
}

function isAnythingLeft(checks: readonly PurgeCheck[]): boolean {
  return checks.some(({ found }) => found.length > 0);
}

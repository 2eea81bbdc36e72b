import { orderOfKeys } from './order-of-keys.ts';
import type { Log } from '../log/log.ts';
import { change, type Operation } from '../metadata/operation.ts';
import { addPulls } from '../metadata/queries/history.ts';
import { recordManifestPull } from '../metadata/queries/manifests.ts';
import { recordPurgedPull } from '../metadata/queries/purged-pulls.ts';
import { recordTagPull } from '../metadata/queries/tags.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Clock } from './clock.ts';
import { dayOf } from './history.ts';
import { noSiblings, type Siblings } from './siblings.ts';
import { noRetention, type RetentionScope, reviewRepository } from './retention-review.ts';

/** How many pulls one transaction writes, so that it stays short. */
const batch = 200;
/** How many pulled things wait at most; so many are written at once. */
const maxWaiting = 50_000;

/** What was pulled: a manifest, by a tag or by its digest. */
export interface Pulled {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  readonly tag: TagName | undefined;
}

/**
 * Last-pulled times, collected in memory and written now and then, so that a pull never waits for a write. What a
 * crash loses is at most the last of them (`pulls.flush`); retention flushes before it judges (R25).
 */
export class PullRecorder {
  readonly #metadata: Pick<MetadataStore, 'writeUnsynced'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #scope: RetentionScope;
  readonly #keepsHistory: boolean;
  readonly #siblings: Siblings;
  /** What was pulled, without the bytes that it was pulled with: by repository, and there by tag or digest. */
  #waiting = new Map<RepositoryName, Map<string, CountedPulls>>();
  /** The same of tags that have led to something else since. */
  #moved: CountedPulls[] = [];
  #count = 0;
  /** What is just being written. */
  #writing: readonly CountedPulls[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #flushing: Promise<void> | undefined;

  constructor(parts: {
    metadata: Pick<MetadataStore, 'writeUnsynced'>;
    clock: Clock;
    log: Log;
    retention?: RetentionScope;
    /** Whether it is also remembered how often each was pulled on which day. */
    keepsHistory?: boolean;
    /** Where pulls wait too. */
    siblings?: Siblings;
  }) {
    this.#metadata = parts.metadata;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#scope = parts.retention ?? noRetention;
    this.#keepsHistory = parts.keepsHistory ?? false;
    this.#siblings = parts.siblings ?? noSiblings;
    this.#siblings.hear('pulls', () => this.flush());
  }

  /** Begins to write every `everyMs`. */
  start(everyMs: number): void {
    this.#timer = setInterval(() => void this.#flushOwnQuietly(), everyMs);
    this.#timer.unref();
  }

  record(pulled: Pulled): void {
    const waiting = this.#count;
    this.#keep(pulled, this.#clock.now(), 1);
    if (waiting < maxWaiting && this.#count === maxWaiting) void this.#flushOwnQuietly();
  }

  /** Where no more can wait, since nothing can be written, times are given up, and pulls go on. */
  #keep({ repo, digest, tag }: Pulled, at: number, pulls: number): void {
    const reference = tag ?? digest;
    const ofRepository = this.#waiting.get(repo);
    const known = ofRepository?.get(reference);
    if (known?.pulled.digest === digest) {
      known.at = Math.max(known.at, at);
      known.pulls += pulls;
      return;
    }
    if (this.#count >= maxWaiting) return;
    this.#count += 1;
    if (known !== undefined) this.#moved.push(known);
    const counted = { pulled: { repo, digest, tag }, at, pulls };
    if (ofRepository === undefined) this.#waiting.set(repo, new Map([[reference, counted]]));
    else ofRepository.set(reference, counted);
  }

  /** Writes everything recorded until now; resolves once it is committed, whoever began to write it. */
  async flush(): Promise<void> {
    const flushing = this.#writeAfter(this.#flushing);
    this.#flushing = flushing;
    try {
      await flushing;
    } finally {
      if (this.#flushing === flushing) this.#flushing = undefined;
    }
  }

  async #writeAfter(before: Promise<void> | undefined): Promise<void> {
    // What could not be written then is tried again now.
    await before?.catch(() => undefined);
    await this.#write();
  }

  /** Writes what is left, if it can be written: an orderly stop must not fail for it. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#flushOwnQuietly();
  }

  /**
   * The same of all processes of this machine that serve the registry, for whoever goes on without it, as where the disk
   * is full.
   */
  async flushQuietly(): Promise<void> {
    const others = this.#siblings.ask('pulls', null).catch((error: unknown) => {
      this.#log.warn({ err: error }, 'pull times of another worker could not be written');
    });
    await Promise.all([others, this.#flushOwnQuietly()]);
  }

  async #flushOwnQuietly(): Promise<void> {
    // What is just being written is not there yet either.
    if (this.#count === 0 && this.#flushing === undefined) return;
    try {
      await this.flush();
    } catch (error) {
      this.#log.warn({ err: error }, 'pull times could not be written');
    }
  }

  /**
   * The manifests of a repository that were pulled, by whatever name, and of which the database does not know it yet.
   * Cheap just after a flush, when little waits.
   */
  waitingIn(repo: RepositoryName): ReadonlySet<Digest> {
    const digests = new Set<Digest>();
    for (const { pulled } of this.#waiting.get(repo)?.values() ?? []) digests.add(pulled.digest);
    for (const { pulled } of [...this.#moved, ...this.#writing]) if (pulled.repo === repo) digests.add(pulled.digest);
    return digests;
  }

  async #write(): Promise<void> {
    const pulls = this.#moved;
    for (const ofRepository of this.#waiting.values()) pulls.push(...ofRepository.values());
    this.#waiting = new Map();
    this.#moved = [];
    this.#count = 0;
    this.#writing = pulls;
    try {
      await this.#writeAll(pulls);
    } finally {
      this.#writing = [];
    }
  }

  async #writeAll(pulls: readonly CountedPulls[]): Promise<void> {
    for (let start = 0; start < pulls.length; start += batch) {
      const some = pulls.slice(start, start + batch);
      try {
        const now = this.#clock.now();
        await this.#metadata.writeUnsynced(
          () => writePulls(some, { scope: this.#scope, keepsHistory: this.#keepsHistory, now }),
          { whileReadOnly: true },
        );
      } catch (error) {
        for (const { pulled, at, pulls: count } of pulls.slice(start)) this.#keep(pulled, at, count);
        throw error;
      }
    }
  }
}

/** How often something was pulled, and when last, in ms since 1970. */
interface CountedPulls {
  readonly pulled: Pulled;
  at: number;
  pulls: number;
}

function inOrderOfRows({ pulled: a }: CountedPulls, { pulled: b }: CountedPulls): number {
  return orderOfKeys(a.repo, b.repo) || orderOfKeys(a.digest, b.digest) || orderOfKeys(a.tag ?? '', b.tag ?? '');
}

interface PullWriting {
  readonly scope: RetentionScope;
  readonly keepsHistory: boolean;
  readonly now: number;
}

/** All of them count on the day of the last: those that are written together are seconds apart. */
function* writePulls(pulls: readonly CountedPulls[], { scope, keepsHistory, now }: PullWriting): Operation<void> {
  // Every process writes down what is pulled everywhere: they take rows in the same order, so that none waits for another in turn.
  for (const { pulled, at, pulls: count } of pulls.toSorted(inOrderOfRows)) {
    const { repo, digest, tag } = pulled;
    if (keepsHistory) yield* change(addPulls, { repo, digest, tag: tag ?? '', day: dayOf(at), pulls: count, at });
    const isHere = (yield* change(recordManifestPull, { repo, digest, at })) > 0;
    if (tag !== undefined) yield* change(recordTagPull, { repo, name: tag, manifest: digest, at });
    if (isHere) continue;
    // Whoever pulled what was purged meanwhile is told in its record.
    yield* change(recordPurgedPull, { repo, digest, name: '', at });
    if (tag !== undefined) yield* change(recordPurgedPull, { repo, digest, name: tag, at });
  }
  for (const repo of [...new Set(pulls.map(({ pulled }) => pulled.repo))].toSorted()) {
    if (scope.heedsPulls(repo)) yield* reviewRepository(scope, repo, 'grown', now);
  }
}

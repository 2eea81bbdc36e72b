import type { Log } from '../log/log.ts';
import { change, type Operation } from '../metadata/operation.ts';
import { recordManifestPull } from '../metadata/queries/manifests.ts';
import { recordTagPull } from '../metadata/queries/tags.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Clock } from './clock.ts';
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
 * Last-pulled times, collected in memory and written every few seconds, so that a pull never waits for a write. What a
 * crash loses is at most the last few seconds of times; retention flushes before it judges (R25).
 */
export class PullRecorder {
  readonly #metadata: Pick<MetadataStore, 'writeUnsynced'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #scope: RetentionScope;
  /** When each was pulled last, in ms since 1970. By identity: things that are alike may stand here several times. */
  #waiting = new Map<Pulled, number>();
  /** What is just being written. */
  #writing: readonly TimedPull[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #flushing: Promise<void> | undefined;

  constructor(parts: {
    metadata: Pick<MetadataStore, 'writeUnsynced'>;
    clock: Clock;
    log: Log;
    retention?: RetentionScope;
  }) {
    this.#metadata = parts.metadata;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#scope = parts.retention ?? noRetention;
  }

  /** Begins to write every `everyMs`. */
  start(everyMs: number): void {
    this.#timer = setInterval(() => void this.flushQuietly(), everyMs);
    this.#timer.unref();
  }

  /** Cheapest where the same object is given for every pull of a thing. */
  record(pulled: Pulled): void {
    const waiting = this.#waiting.size;
    this.#keep(pulled, this.#clock.now());
    if (waiting < maxWaiting && this.#waiting.size === maxWaiting) void this.flushQuietly();
  }

  /** Where no more can wait, since nothing can be written, times are given up, and pulls go on. */
  #keep(pulled: Pulled, at: number): void {
    if (this.#waiting.size < maxWaiting || this.#waiting.has(pulled)) this.#waiting.set(pulled, at);
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
    await this.flushQuietly();
  }

  /** The same for whoever goes on without it, as where the disk is full. */
  async flushQuietly(): Promise<void> {
    // What is just being written is not there yet either.
    if (this.#waiting.size === 0 && this.#flushing === undefined) return;
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
    for (const pulled of this.#waiting.keys()) if (pulled.repo === repo) digests.add(pulled.digest);
    for (const { pulled } of this.#writing) if (pulled.repo === repo) digests.add(pulled.digest);
    return digests;
  }

  async #write(): Promise<void> {
    const pulls = latestOf(this.#waiting);
    this.#waiting = new Map();
    this.#writing = pulls;
    try {
      await this.#writeAll(pulls);
    } finally {
      this.#writing = [];
    }
  }

  async #writeAll(pulls: readonly TimedPull[]): Promise<void> {
    for (let start = 0; start < pulls.length; start += batch) {
      const some = pulls.slice(start, start + batch);
      try {
        await this.#metadata.writeUnsynced(() => writePulls(some, this.#scope, this.#clock.now()));
      } catch (error) {
        for (const { pulled, at } of pulls.slice(start)) this.#keep(pulled, at);
        throw error;
      }
    }
  }
}

interface TimedPull {
  readonly pulled: Pulled;
  readonly at: number;
}

/** The last pull of each thing. */
function latestOf(waiting: ReadonlyMap<Pulled, number>): readonly TimedPull[] {
  const latest = new Map<string, TimedPull>();
  for (const [pulled, at] of waiting) {
    const key = `${pulled.repo}:${pulled.tag ?? ''}@${pulled.digest}`;
    if (at >= (latest.get(key)?.at ?? 0)) latest.set(key, { pulled, at });
  }
  return [...latest.values()];
}

function* writePulls(pulls: readonly TimedPull[], scope: RetentionScope, now: number): Operation<void> {
  for (const { pulled, at } of pulls) {
    const { repo, digest, tag } = pulled;
    yield* change(recordManifestPull, { repo, digest, at });
    if (tag !== undefined) yield* change(recordTagPull, { repo, name: tag, manifest: digest, at });
  }
  for (const repo of new Set(pulls.map(({ pulled }) => pulled.repo))) {
    if (scope.heedsPulls(repo)) yield* reviewRepository(scope, repo, 'grown', now);
  }
}

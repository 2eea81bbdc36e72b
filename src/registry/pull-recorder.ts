import type { Log } from '../log/log.ts';
import { change, type Operation } from '../metadata/operation.ts';
import { recordManifestPull } from '../metadata/queries/manifests.ts';
import { recordTagPull } from '../metadata/queries/tags.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Clock } from './clock.ts';

/** How many pulls one transaction writes, so that it stays short. */
const batch = 200;
/** How many different pulled things wait at most; more than that are written at once. */
const maxWaiting = 50_000;

interface Pull {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  readonly tag: TagName | undefined;
  at: number;
}

/**
 * Last-pulled times, collected in memory and written every few seconds, so that a pull never waits for a write. What a
 * crash loses is at most the last few seconds of times; retention flushes before it judges (R25).
 */
export class PullRecorder {
  readonly #metadata: MetadataStore;
  readonly #clock: Clock;
  readonly #log: Log;
  #waiting = new Map<string, Pull>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #flushing: Promise<void> | undefined;

  constructor(parts: { metadata: MetadataStore; clock: Clock; log: Log }) {
    this.#metadata = parts.metadata;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** Begins to write every `everyMs`. */
  start(everyMs: number): void {
    this.#timer = setInterval(() => void this.#flushQuietly(), everyMs);
    this.#timer.unref();
  }

  /** A manifest was pulled, by a tag or by its digest. */
  record(repo: RepositoryName, digest: Digest, tag: TagName | undefined): void {
    const key = tag === undefined ? `${repo}@${digest}` : `${repo}:${tag}@${digest}`;
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) {
      waiting.at = this.#clock.now();
      return;
    }
    this.#waiting.set(key, { repo, digest, tag, at: this.#clock.now() });
    if (this.#waiting.size >= maxWaiting) void this.#flushQuietly();
  }

  /** Writes everything recorded until now. */
  async flush(): Promise<void> {
    await this.#flushing;
    this.#flushing = this.#write();
    try {
      await this.#flushing;
    } finally {
      this.#flushing = undefined;
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #flushQuietly(): Promise<void> {
    if (this.#waiting.size === 0) return;
    try {
      await this.flush();
    } catch (error) {
      this.#log.warn({ err: error }, 'pull times could not be written; trying again later');
    }
  }

  async #write(): Promise<void> {
    const pulls = [...this.#waiting.values()];
    this.#waiting = new Map();
    for (let start = 0; start < pulls.length; start += batch) {
      const some = pulls.slice(start, start + batch);
      try {
        await this.#metadata.writeUnsynced(() => writePulls(some));
      } catch (error) {
        for (const pull of pulls.slice(start)) this.#putBack(pull);
        throw error;
      }
    }
  }

  #putBack(pull: Pull): void {
    const key = pull.tag === undefined ? `${pull.repo}@${pull.digest}` : `${pull.repo}:${pull.tag}@${pull.digest}`;
    if (!this.#waiting.has(key)) this.#waiting.set(key, pull);
  }
}

function* writePulls(pulls: readonly Pull[]): Operation<void> {
  for (const { repo, digest, tag, at } of pulls) {
    yield* change(recordManifestPull, { repo, digest, at });
    if (tag !== undefined) yield* change(recordTagPull, { repo, name: tag, manifest: digest, at });
  }
}

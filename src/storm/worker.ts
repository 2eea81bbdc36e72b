import { Refused } from './blob-upload.ts';
import type { Content, StormBlob, StormManifest } from './content.ts';
import type { Deleter } from './deletes.ts';
import type { ImagePuller } from './image-pull.ts';
import type { ImagePusher } from './image-push.ts';
import type { Ledger } from './ledger.ts';
import { type RegistryClient, Unanswered } from './registry-client.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { TagRecord } from './tag-record.ts';
import type { Tally } from './tally.ts';

/** How many tags a worker has in each repository. */
const tagsOfOne = 8;
/** After so many failures in a row the worker waits for the registry. */
const patience = 3;

export interface WorkerParts {
  readonly name: string;
  readonly content: Content;
  readonly random: SeededRandom;
  readonly ledger: Ledger;
  readonly tally: Tally;
  readonly client: RegistryClient;
  readonly pusher: ImagePusher;
  readonly puller: ImagePuller;
  readonly deleter: Deleter;
  readonly repositories: readonly string[];
  readonly allowDown: boolean;
}

/** One client of the storm: pushes, pulls and deletes, one after the other, what all the others push, pull and delete. */
export class Worker {
  readonly #parts: WorkerParts;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  /** @throws RegistryGone where the registry does not come back */
  async work(isOver: () => boolean): Promise<void> {
    const { allowDown, client } = this.#parts;
    let failures = 0;
    while (!isOver()) {
      try {
        await this.#step();
        failures = 0;
      } catch (error) {
        if (error instanceof Refused) continue;
        if (!(error instanceof Unanswered)) throw error;
        failures += 1;
        if (allowDown || failures >= patience) await client.untilAnswering();
      }
    }
  }

  async #step(): Promise<void> {
    const { content, random, pusher } = this.#parts;
    const dice = random.next();
    if (dice < 0.4) {
      const manifest = random.pick(content.manifests);
      if (manifest !== undefined) await this.#timed('push, whole', () => pusher.pushTagged(this.#ownTag(), manifest));
    } else if (dice < 0.75) await this.#pull();
    else if (dice < 0.8) await this.#pushReferrer();
    else await this.#delete(random.next());
  }

  async #pull(): Promise<void> {
    const { ledger, puller, random, tally } = this.#parts;
    const referrer = random.chance(0.1) ? random.pick(ledger.heldReferrers) : undefined;
    if (referrer !== undefined) {
      const fault = await puller.pullReferrer(referrer);
      if (fault !== undefined) tally.findings.wrong(fault.what, fault);
      return;
    }
    const tag = random.pick(ledger.tags);
    if (tag === undefined) return;
    const isThere = tag.certain !== undefined;
    const fault = await this.#timed('pull, whole', () => puller.pull(tag));
    if (fault !== undefined) tally.findings.wrong(fault.what, fault);
    else if (isThere) tally.pulls += 1;
  }

  async #pushReferrer(): Promise<void> {
    const { content, pusher, random } = this.#parts;
    const tag = this.#ownTag();
    const subject = tag.certain?.manifest;
    if (subject === undefined) return;
    await pusher.pushReferrer(tag, subject, content.referrerOf(subject, random.between(0, 2)));
  }

  /** Deletes something and, as often as not, pushes it again at once. */
  async #delete(dice: number): Promise<void> {
    const { content, deleter, ledger, pusher, random, repositories } = this.#parts;
    if (dice < 0.6) {
      const tag = this.#ownTag();
      const manifest = tag.certain?.manifest;
      await deleter.deleteTag(tag);
      if (manifest !== undefined && random.chance(0.5)) await pusher.pushTagged(tag, manifest);
    } else if (dice < 0.8) {
      const tag = random.pick(ledger.tags);
      const manifest = tag === undefined ? undefined : this.#deletable(tag);
      if (tag === undefined || manifest === undefined) return;
      await deleter.deleteManifest(tag.repository, manifest);
      if (random.chance(0.5)) await pusher.pushTagged(this.#ownTag(tag.repository), manifest);
    } else {
      const blob: StormBlob | undefined = random.pick(content.ownBlobs);
      const repository = random.pick(repositories);
      if (blob !== undefined && repository !== undefined) await deleter.deleteBlob(repository, blob);
    }
  }

  /** What a tag leads to, or one of its children, where this process may delete it. */
  #deletable(tag: TagRecord): StormManifest | undefined {
    const { random } = this.#parts;
    const manifest = tag.certain?.manifest;
    const chosen = random.chance(0.2) ? random.pick(manifest?.children ?? []) : manifest;
    return chosen === undefined || chosen.isShared ? undefined : chosen;
  }

  /** One of the tags that only this worker changes. */
  #ownTag(repository?: string): TagRecord {
    const { ledger, name, random, repositories } = this.#parts;
    const where = repository ?? random.pick(repositories);
    if (where === undefined) throw new Error('a storm needs a repository');
    return ledger.tag(where, `${name}-${random.between(1, tagsOfOne)}`);
  }

  async #timed<T>(kind: string, operation: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const result = await operation();
    this.#parts.tally.took(kind, performance.now() - startedAt);
    return result;
  }
}

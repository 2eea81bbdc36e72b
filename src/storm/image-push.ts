import { type BlobUploader, Refused } from './blob-upload.ts';
import { digestsIn, imageType, indexType, type StormBlob, type StormManifest } from './content.ts';
import type { Ledger } from './ledger.ts';
import { type Answer, type RegistryClient, textOf } from './registry-client.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { Attempt, TagRecord, Target } from './tag-record.ts';
import type { Tally } from './tally.ts';

const manifestTypes = [imageType, indexType].join(', ');
/** How many blobs of an image a client sends at once. */
const lanes = 3;
/** The longest time that a client pauses between what it has seen and what it builds on it, in ms. */
const longestPauseMs = 2000;

/**
 * Pushes images as real clients do: what a HEAD finds is not sent again, neither blobs nor manifests, and the manifest is
 * pushed in the belief that it is still there.
 */
export class ImagePusher {
  readonly #client: RegistryClient;
  readonly #uploader: BlobUploader;
  readonly #random: SeededRandom;
  readonly #ledger: Ledger;
  readonly #tally: Tally;
  readonly #leaseMs: number;
  readonly #repositories: readonly string[];

  constructor(parts: {
    readonly client: RegistryClient;
    readonly uploader: BlobUploader;
    readonly random: SeededRandom;
    readonly ledger: Ledger;
    readonly tally: Tally;
    readonly leaseMs: number;
    readonly repositories: readonly string[];
  }) {
    this.#client = parts.client;
    this.#uploader = parts.uploader;
    this.#random = parts.random;
    this.#ledger = parts.ledger;
    this.#tally = parts.tally;
    this.#leaseMs = parts.leaseMs;
    this.#repositories = parts.repositories;
  }

  /** Pushes an image or index with all that it needs, and makes a tag lead to it. */
  async pushTagged(tag: TagRecord, manifest: StormManifest): Promise<void> {
    const { repository } = tag;
    const since = this.#ledger.next();
    // Who finds the manifest itself sends nothing but the tag.
    const isThere = this.#random.chance(0.3) ? await this.#seen(repository, manifest) : undefined;
    const seenAt = isThere ?? (await this.#pushNeeds(repository, manifest));
    await this.#pause(seenAt);
    const attempt = tag.attempt({ manifest, since });
    await this.#put({ repository, reference: tag.name, manifest, since, seenAt }, attempt);
  }

  /** Pushes an artifact by its digest, whose subject a tag holds. */
  async pushReferrer(tag: TagRecord, subject: StormManifest, referrer: StormManifest): Promise<void> {
    const since = this.#ledger.next();
    const target: Target = { manifest: referrer, since };
    const answer = await this.#pushByDigest(tag.repository, target);
    const isListed = answer.headers.get('oci-subject') === subject.digest;
    this.#ledger.referrerPushed({ tag, target, subject, isListed });
  }

  /** @returns when the oldest of the requests was sent that tell that all of it is there */
  async #pushNeeds(repository: string, manifest: StormManifest): Promise<number> {
    const seen: number[] = [performance.now()];
    const waiting = [...manifest.blobs];
    const work = async (): Promise<void> => {
      for (let blob = waiting.pop(); blob !== undefined; blob = waiting.pop()) {
        seen.push(await this.#pushBlob(repository, blob));
      }
    };
    const results = await Promise.allSettled(Array.from({ length: lanes }, work));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    for (const child of manifest.children) {
      const seenAt = this.#random.chance(0.7) ? await this.#seen(repository, child) : undefined;
      const target = { manifest: child, since: this.#ledger.next() };
      seen.push(seenAt ?? (await this.#pushByDigest(repository, target)).sentAt);
    }
    return Math.min(...seen);
  }

  async #pushByDigest(repository: string, { manifest, since }: Target): Promise<Answer> {
    const seenAt = await this.#pushNeeds(repository, manifest);
    return await this.#put({ repository, reference: manifest.digest, manifest, since, seenAt });
  }

  async #pushBlob(repository: string, blob: StormBlob): Promise<number> {
    const head = await this.#client.send('HEAD blob', 'HEAD', `${repository}/blobs/${blob.digest}`);
    if (head.status === 200 && this.#random.chance(0.9)) return head.sentAt;
    if (head.status !== 200 && head.status !== 404) this.#wrong('HEAD blob', head, '200 or 404');
    return await this.#uploader.upload(repository, blob, this.#random.pick(this.#repositories));
  }

  /** When a manifest was asked for that is there; undefined where it is not. */
  async #seen(repository: string, manifest: StormManifest): Promise<number | undefined> {
    const place = `${repository}/manifests/${manifest.digest}`;
    const head = await this.#client.send('HEAD manifest', 'HEAD', place, { headers: { accept: manifestTypes } });
    if (head.status !== 200 && head.status !== 404) this.#wrong('HEAD manifest', head, '200 or 404');
    return head.status === 200 ? head.sentAt : undefined;
  }

  /** What takes long in real pushes is the slowest layer, while the others have been seen already. */
  async #pause(seenAt: number): Promise<void> {
    if (!this.#random.chance(0.1)) return;
    const leftMs = this.#leaseMs * 0.8 - (performance.now() - seenAt);
    if (leftMs > 0) await Bun.sleep(this.#random.next() * Math.min(leftMs, longestPauseMs));
  }

  async #put(push: Push, attempt?: Attempt): Promise<Answer> {
    const { repository, reference, manifest } = push;
    let outcome: keyof Attempt = 'unanswered';
    try {
      const place = `${repository}/manifests/${reference}`;
      const parts = { headers: { 'content-type': manifest.mediaType }, body: manifest.bytes };
      const answer = await this.#client.send('PUT manifest', 'PUT', place, parts);
      outcome = answer.status === 201 ? 'acknowledged' : 'refused';
      if (answer.status !== 201) this.#judgeRefusal(push, answer);
      this.#tally.acknowledged.pushes += 1;
      return answer;
    } finally {
      attempt?.[outcome]();
    }
  }

  /** A push may be refused for what is missing only where the client's word for it was too old, or a client has deleted it. */
  #judgeRefusal({ repository, manifest, since, seenAt }: Push, answer: Answer): never {
    const ageMs = performance.now() - seenAt;
    const isMissing = textOf(answer).includes('MANIFEST_BLOB_UNKNOWN');
    const isDeleted = [...digestsIn(manifest)].some((digest) =>
      this.#ledger.wasDeletedSince(repository, digest, since),
    );
    if (isMissing && (ageMs >= this.#leaseMs || isDeleted)) this.#tally.expiredPushes += 1;
    else if (isMissing) {
      const expected = `201: all that it needs was seen ${ageMs.toFixed(0)} ms ago, and nobody has deleted it`;
      this.#wrong('PUT manifest refused for what the client has seen', answer, expected);
    } else this.#wrong('PUT manifest', answer, '201');
    throw new Refused('PUT manifest');
  }

  #wrong(what: string, answer: Answer, expected: string): void {
    this.#tally.findings.wrong(`${what}: ${answer.status}`, {
      request: `${what} ${answer.url.pathname}`,
      expected,
      got: textOf(answer),
    });
  }
}

interface Push {
  readonly repository: string;
  readonly reference: string;
  readonly manifest: StormManifest;
  readonly since: number;
  readonly seenAt: number;
}

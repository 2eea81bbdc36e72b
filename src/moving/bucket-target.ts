import { Bucket } from '../blobs/s3/bucket.ts';
import { leastPartBytes, type S3Settings } from '../blobs/s3/settings.ts';
import type { S3BlobStore } from '../blobs/s3/store.ts';
import type { ObjectId } from '../blobs/store.ts';
import { type BlobTarget, isObjectId, type MovedBlob } from './blob-target.ts';
import { verified } from './verified-bytes.ts';

/** The bucket of a registry that blobs are copied to. An object appears there once its bytes have been found to be right. */
export class BucketTarget implements BlobTarget {
  readonly #bucket: Bucket;
  readonly #prefix: string;
  readonly #store: S3BlobStore;
  /** What earlier tries have begun and not finished. */
  #unfinished: Promise<readonly string[]> | undefined;

  constructor(settings: S3Settings, store: S3BlobStore) {
    this.#bucket = new Bucket(settings);
    this.#prefix = settings.prefix;
    this.#store = store;
  }

  async isBegun(): Promise<boolean> {
    return (await this.#bucket.look(this.#markKey)) !== undefined;
  }

  async begin(): Promise<void> {
    await this.#bucket.put(this.#markKey, Buffer.from('A Wherry registry is being moved to here.\n'));
  }

  async end(): Promise<void> {
    await this.#bucket.remove(await this.#bucket.listings.objectsUnder(this.#markKey, this.#isVersioned));
  }

  async present(shard: string): Promise<ReadonlySet<ObjectId>> {
    const prefix = `${this.#prefix}objects/${shard}/`;
    const listed = await this.#bucket.listings.objectsUnder(prefix, false);
    return new Set(listed.map(({ key }) => key.slice(prefix.length)).filter(isObjectId));
  }

  async keepOnly(shard: string, kept: ReadonlySet<ObjectId>): Promise<void> {
    const prefix = `${this.#prefix}objects/${shard}/`;
    const keys = (await this.#bucket.listings.objectsUnder(prefix, this.#isVersioned)).map(({ key }) => key);
    this.#unfinished ??= this.#unfinishedKeys();
    keys.push(...(await this.#unfinished).filter((key) => key.startsWith(prefix)));
    // A piece has the name of its object with something behind it.
    const oids = new Set(keys.map((key) => key.slice(prefix.length).split('.')[0] ?? ''));
    for (const oid of oids) if (isObjectId(oid) && !kept.has(oid)) await this.#store.remove(oid);
  }

  async put(blob: MovedBlob, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const { oid } = blob;
    // Parts that an earlier try has left, such as one that was killed. What is small is put by one request.
    if (blob.sizeBytes >= leastPartBytes) await this.#store.remove(oid);
    const claim = { progress: '', epoch: 1 };
    const writer = await this.#store.append(oid, 0, claim);
    try {
      for await (const chunk of verified(blob, bytes)) {
        const writing = writer.write(chunk);
        if (writing !== undefined) await writing;
      }
    } catch (error) {
      await writer.close('dropped').catch(() => undefined);
      await this.#store.remove(oid);
      throw error;
    }
    await this.#store.sync(oid, { ...claim, progress: await writer.close('final') });
  }

  async setGeneration(generation: number): Promise<void> {
    await this.#store.setGeneration(generation);
  }

  async leaveRegistry(id: string): Promise<void> {
    await this.#store.leaveRegistry(id);
  }

  /** Of the whole bucket: some servers list by no prefix that is not a whole key. */
  async #unfinishedKeys(): Promise<readonly string[]> {
    const keys: string[] = [];
    for await (const uploads of this.#bucket.listings.uploadsUnder('')) keys.push(...uploads.map(({ key }) => key));
    return keys;
  }

  get #isVersioned(): boolean {
    return this.#store.traits?.isVersioned === true;
  }

  get #markKey(): string {
    return `${this.#prefix}moving`;
  }
}

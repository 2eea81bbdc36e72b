import { createHash } from 'node:crypto';
import type { ReadableStreamDefaultReader } from 'node:stream/web';
import {
  BlobMissingError,
  BlobStoreBusyError,
  ClaimLostError,
  type BlobBytes,
  type BlobStore,
  type ByteRange,
  type ObjectId,
  type Shredded,
  type WriterClaim,
  registriesAmong,
} from '../store.ts';
import type { BucketCalls } from './calls.ts';
import { Bucket, type BucketTraits } from './bucket.ts';
import type { Patience } from './connection.ts';
import { isRefused, ObjectGoneError, ObjectThereError, UploadGoneError } from './failures.ts';
import type { ListedObject } from './listings.ts';
import { OlderVersions } from './older-versions.ts';
import { type Progress, progressFor, sizeOf } from './progress.ts';
import { Reading } from './reading.ts';
import type { S3Settings } from './settings.ts';
import { isWhole, S3Writer } from './writer.ts';

/** Up to so many bytes are sent in one piece, in bytes: the runtime tells the length of no stream beforehand (ADR 20). */
const wholeBytes = 1024 * 1024;

/** How often a small object is read that the bucket breaks off. */
const readTries = 3;

/** How often a number is set that others set at the same time. */
const mostTries = 100;

/** The first writer of an object of which nothing has been written down. */
const firstClaim: WriterClaim = { progress: '', epoch: 1 };

/**
 * Objects in a bucket: `<prefix>objects/ab/<oid>`, where `ab` are the oid's first two digits. Nothing is ever copied or
 * renamed there, but for what fsck finds damaged. An object appears when its multipart upload is completed, by `sync`, or with the one request that puts
 * all of it; before, what there is of it is known by the progress that the database keeps.
 */
export class S3BlobStore implements BlobStore {
  readonly isSizeCheap = false;
  readonly lateWritesMs: number;
  /** As it was told the last time. */
  #traits: BucketTraits | undefined;
  #mayKeepRemoved = false;
  readonly #bucket: Bucket;
  readonly #settings: S3Settings;
  /** Whether the server puts an object only where there is none, when it is asked to. */
  readonly knowsConditions: boolean;
  readonly #readings = new Map<ObjectId, Set<Reading>>();
  readonly #olderGenerations: OlderVersions;

  private constructor(
    bucket: Bucket,
    settings: S3Settings,
    {
      traits,
      knowsConditions,
      monotonic,
    }: {
      readonly traits: BucketTraits | undefined;
      readonly knowsConditions: boolean;
      readonly monotonic: () => number;
    },
  ) {
    this.#bucket = bucket;
    this.#settings = settings;
    this.lateWritesMs = settings.lateWritesMs;
    this.#traits = traits;
    this.knowsConditions = knowsConditions;
    this.#olderGenerations = new OlderVersions({ bucket, key: this.#generationKey, monotonic });
  }

  /**
   * Opens the store in a bucket that is there, and finds out what it can do.
   * @param known what need not be found out, how long calls may take, what a test has in place of some, and by what clock
   *   it rests, in ms, where it is not as usual
   * @throws BlobStoreBusyError where it does not answer, or not to who asks
   */
  static async open(
    settings: S3Settings,
    known: {
      readonly knowsConditions?: boolean | undefined;
      readonly patience?: Patience;
      readonly calls?: Partial<BucketCalls> | undefined;
      readonly monotonic?: () => number;
    } = {},
  ): Promise<S3BlobStore> {
    const bucket = new Bucket(settings, known.patience, known.calls);
    const [tried, traits] = await Promise.all([triesCondition(bucket, settings), bucket.traits()]);
    const knowsConditions = known.knowsConditions ?? tried;
    const { monotonic = () => performance.now() } = known;
    return new S3BlobStore(bucket, settings, { traits, knowsConditions, monotonic });
  }

  async append(oid: ObjectId, offsetBytes: number, claim = firstClaim): Promise<S3Writer> {
    // At the beginning, nothing of what was there before counts.
    const { progress, epoch } = claim;
    const standing = progressFor({ progress: offsetBytes === 0 ? '' : progress, epoch });
    if (sizeOf(standing) !== offsetBytes) {
      throw new BlobMissingError(`the bucket holds ${sizeOf(standing)} bytes of the upload, not ${offsetBytes}`);
    }
    return await S3Writer.open(this.#writing(oid, standing, epoch));
  }

  #writing(oid: ObjectId, progress: Progress, epoch: number) {
    const { partBytes } = this.#settings;
    const [bucket, knowsConditions] = [this.#bucket, this.knowsConditions];
    return { bucket, key: this.#key(oid), epoch, progress, partBytes, knowsConditions };
  }

  /** What is behind lies in parts that nobody will name. */
  cutBack(_oid: ObjectId, offsetBytes: number): Promise<number> {
    return Promise.resolve(offsetBytes);
  }

  /** No object can be cut, and it takes no room on this machine: it is removed as a whole. */
  truncate(): Promise<void> {
    return Promise.resolve();
  }

  async size(oid: ObjectId): Promise<number | undefined> {
    return (await this.#bucket.look(this.#key(oid)))?.sizeBytes;
  }

  read(oid: ObjectId, range?: ByteRange): BlobBytes {
    const begin = () => this.#begin(oid, range);
    return {
      stream: () => deferred(begin),
      arrayBuffer: async () => await new Response((await begin()).stream).arrayBuffer(),
      bytes: async () => await new Response((await begin()).stream).bytes(),
    };
  }

  async open(oid: ObjectId, sizeBytes: number, range?: ByteRange): Promise<Blob | ReadableStream<Uint8Array>> {
    const wantedBytes = range === undefined ? sizeBytes : range.last - range.first + 1;
    if (wantedBytes > wholeBytes) return await this.#beginOf(oid, sizeBytes, range);
    for (let tries = readTries; ; tries--) {
      try {
        return new Blob([await new Response(await this.#beginOf(oid, sizeBytes, range)).arrayBuffer()]);
      } catch (error) {
        // Nobody has been sent anything of it yet.
        if (!(error instanceof BlobStoreBusyError) || tries === 1) throw error;
      }
    }
  }

  /** The bytes of an object that must have so many. */
  async #beginOf(oid: ObjectId, sizeBytes: number, range: ByteRange | undefined): Promise<ReadableStream<Uint8Array>> {
    const reading = await this.#begin(oid, range);
    const { objectBytes = sizeBytes, stream } = reading;
    if (objectBytes === sizeBytes) return stream;
    reading.cut();
    throw new ObjectGoneError(`the object has ${objectBytes} bytes, not ${sizeBytes}`);
  }

  async #begin(oid: ObjectId, range: ByteRange | undefined): Promise<Reading> {
    const readings = this.#readings.get(oid) ?? new Set();
    this.#readings.set(oid, readings);
    const reading = new Reading(() => {
      readings.delete(reading);
      if (readings.size === 0 && this.#readings.get(oid) === readings) this.#readings.delete(oid);
    });
    readings.add(reading);
    await reading.begin(this.#bucket, this.#key(oid), range);
    return reading;
  }

  async publicUrl(oid: ObjectId): Promise<string | undefined> {
    const { redirectMs } = this.#settings;
    return redirectMs === undefined ? undefined : await this.#bucket.signedUrl(this.#key(oid), redirectMs);
  }

  async sync(oid: ObjectId, claim = firstClaim): Promise<void> {
    const recorded = progressFor(claim);
    const key = this.#key(oid);
    if (claim.progress === '') throw new ObjectGoneError('nothing of it was written');
    // Before it is published: another upload of this key, completed late, would take its place.
    if (recorded.isDoubtful) await this.#sweep(key, recorded);
    const inPlace = isWhole(recorded) ? recorded.pieces[0]?.token : undefined;
    const token = inPlace ?? recorded.upload?.token ?? tokenOf(claim.progress);
    try {
      const whole = await this.#gathered(oid, recorded, { epoch: claim.epoch, token });
      // Only now, when its upload is there: who comes after this look finds the upload, and aborts it.
      if ((await claim.isHeld?.()) === false) throw new ClaimLostError('another writer has taken the upload over');
      if (whole.upload !== undefined) await this.#bucket.complete(key, whole.upload.id, whole.parts);
      // One that was overtaken may have completed its own over it, just before that was aborted.
      else if (recorded.isDoubtful) throw new BlobMissingError('the object may be that of another writer');
    } catch (error) {
      if (!(error instanceof BlobMissingError)) throw error;
      // It may have been published before, and only the answer was lost.
      const there = await this.#bucket.look(key);
      if (there?.token !== token || there.sizeBytes !== sizeOf(recorded)) throw error;
    }
    await this.#removeSuffixes(key, [...recorded.stale, ...recorded.pieces.map(({ suffix }) => suffix)]);
  }

  /** Brings what lies in pieces into the object. */
  async #gathered(
    oid: ObjectId,
    progress: Progress,
    { epoch, token }: { readonly epoch: number; readonly token: string },
  ): Promise<Progress> {
    if (isWhole(progress) || (progress.pieces.length === 0 && progress.parts.length > 0)) return progress;
    const writer = await S3Writer.open({ ...this.#writing(oid, progress, epoch), token });
    return await writer.finish('final');
  }

  /** Takes away what nobody has written down: other uploads of the key, and pieces that are none of this upload's. */
  async #sweep(key: string, { upload, pieces, stale }: Progress): Promise<void> {
    const known = new Set([...pieces.map(({ suffix }) => suffix), ...stale].map((suffix) => key + suffix));
    const others = (await this.#bucket.listings.uploadsOf(key)).filter((id) => id !== upload?.id);
    await this.#abort(key, others);
    const objects = await this.#bucket.listings.objectsUnder(`${key}.`, this.#isVersioned);
    await this.#bucket.remove(objects.filter(({ key: each }) => !known.has(each)));
  }

  async #abort(key: string, uploads: readonly string[]): Promise<void> {
    for (const id of uploads) {
      try {
        await this.#bucket.abort(key, id);
      } catch (error) {
        if (!(error instanceof UploadGoneError)) throw error;
      }
    }
  }

  async #removeSuffixes(key: string, suffixes: readonly string[]): Promise<void> {
    const keys = [...new Set(suffixes)].filter((suffix) => suffix !== '').map((suffix) => key + suffix);
    if (keys.length === 0) return;
    const versions = this.#isVersioned ? await this.#bucket.listings.objectsUnder(`${key}.`, true) : [];
    const named = keys.map((each) => ({ key: each }));
    await this.#bucket.remove(this.#isVersioned ? versions.filter((each) => keys.includes(each.key)) : named);
  }

  async remove(oid: ObjectId): Promise<void> {
    const key = this.#key(oid);
    const [uploads, traits] = await Promise.all([this.#bucket.listings.uploadsOf(key), this.#bucket.traits()]);
    // The uploads first: one that is completed meanwhile becomes an object, which is seen then.
    await this.#abort(key, uploads);
    await this.#bucket.remove(await this.#allUnder(key, traits));
  }

  /**
   * What lies under a prefix, with all its versions.
   * @param told what the bucket says now: versioning may have been switched on since the store was opened
   */
  async #allUnder(prefix: string, told: BucketTraits | undefined): Promise<readonly ListedObject[]> {
    // What it does not tell just now it has told before.
    this.#traits = told ?? this.#traits;
    if (told !== undefined) return await this.#bucket.listings.objectsUnder(prefix, told.isVersioned);
    try {
      return await this.#bucket.listings.objectsUnder(prefix, true);
    } catch (error) {
      if (!isRefused(error)) throw error;
      this.#mayKeepRemoved = true;
      return await this.#bucket.listings.objectsUnder(prefix, false);
    }
  }

  async shred(oid: ObjectId): Promise<Shredded> {
    if ((await this.size(oid)) === undefined) {
      return { outcome: 'gone', words: 'its object was not in the bucket any more' };
    }
    return {
      outcome: 'not-overwritten',
      words:
        'it lies in a bucket, where writing over an object makes another and leaves the disks to the server: nothing was overwritten',
    };
  }

  cutRemoved(oids: ReadonlySet<ObjectId>): Promise<void> {
    for (const oid of oids) for (const reading of this.#readings.get(oid) ?? []) reading.cut();
    return Promise.resolve();
  }

  async removeQuarantined(oid: ObjectId): Promise<void> {
    const objects = await this.#allUnder(this.#quarantinedKey(oid), await this.#bucket.traits());
    await this.#bucket.remove(objects);
  }

  async isQuarantined(oid: ObjectId): Promise<boolean> {
    return (await this.#bucket.listings.objectsUnder(this.#quarantinedKey(oid), this.#isVersioned)).length > 0;
  }

  async quarantinedCount(): Promise<number> {
    const prefix = this.#quarantinedKey('');
    let [count, after] = [0, prefix];
    for (;;) {
      const page = await this.#bucket.listings.page({ prefix, after, isVersioned: false });
      const last = page.at(-1);
      if (last === undefined) return count;
      [count, after] = [count + page.length, last.key];
    }
  }

  async generation(): Promise<number | undefined> {
    return (await this.#markedGeneration())?.number;
  }

  async #markedGeneration(): Promise<{ readonly number: number; readonly etag: string } | undefined> {
    try {
      const { bytes, etag } = await this.#bucket.readAll(this.#generationKey);
      return { number: Number(/^\d+/.exec(Buffer.from(bytes).toString())?.[0] ?? 0), etag };
    } catch (error) {
      if (error instanceof ObjectGoneError) return undefined;
      throw error;
    }
  }

  async setGeneration(generation: number): Promise<void> {
    for (let tries = mostTries; ; tries--) {
      const before = await this.#markedGeneration();
      if (before !== undefined && before.number >= generation) return;
      const only = before === undefined ? { isOnlyIfAbsent: true } : { onlyInPlaceOf: before.etag };
      try {
        await this.#bucket.put(
          this.#generationKey,
          Buffer.from(`${generation}\n`),
          this.knowsConditions ? only : undefined,
        );
        // It is set up to once a minute, so the versions that a bucket keeps would be many.
        if (this.#isVersioned) this.#olderGenerations.removeSoon();
        return;
      } catch (error) {
        // Another process has set one meanwhile.
        if (!(error instanceof ObjectThereError)) throw error;
        if (tries === 0) throw new BlobStoreBusyError('others keep setting the generation', { cause: error });
      }
    }
  }

  async registries(): Promise<readonly string[]> {
    const listed = await this.#bucket.listings.objectsUnder(this.#registryKey(''), false);
    return registriesAmong(listed.map(({ key }) => key.slice(this.#registryKey('').length)));
  }

  async leaveRegistry(id: string): Promise<void> {
    await this.#bucket.put(this.#registryKey(id), Buffer.from(`${id}\n`));
  }

  async isReady(): Promise<boolean> {
    return await this.#bucket.isReady();
  }

  /** What the bucket does with what is removed; undefined where it does not tell. */
  get traits(): BucketTraits | undefined {
    return this.#traits;
  }

  get mayKeepRemoved(): boolean {
    return this.#mayKeepRemoved;
  }

  get #isVersioned(): boolean {
    return this.traits?.isVersioned === true;
  }

  get #generationKey(): string {
    return `${this.#settings.prefix}generation`;
  }

  #registryKey(id: string): string {
    return `${this.#settings.prefix}registries/${id}`;
  }

  /** Where fsck puts what is damaged. */
  #quarantinedKey(oid: ObjectId): string {
    return `${this.#settings.prefix}quarantine/${oid}`;
  }

  #key(oid: ObjectId): string {
    return `${this.#settings.prefix}objects/${oid.slice(0, 2)}/${oid}`;
  }
}

/** By which an object is known that was made of what a progress names: the same each time. */
function tokenOf(progress: string): string {
  return createHash('sha256').update(progress).digest('hex').slice(0, 32);
}

/** Puts an object that is there already: a server which knows what it is asked refuses that. */
async function triesCondition(bucket: Bucket, { prefix }: S3Settings): Promise<boolean> {
  const [key, words] = [`${prefix}wherry`, Buffer.from('A Wherry registry keeps its blobs here.\n')];
  const tried = async (): Promise<boolean> => {
    try {
      await bucket.put(key, words, { isOnlyIfAbsent: true });
      return false;
    } catch (error) {
      if (error instanceof ObjectThereError) return true;
      if (!isRefused(error)) throw error;
    }
    // Not what it may put is refused, but how it is asked to, where it puts it without that.
    await bucket.put(key, words);
    return false;
  };
  // The first of them may have made it.
  return (await tried()) || (await tried());
}

/** A stream that begins when it is read. */
function deferred(begin: () => Promise<Reading>): ReadableStream<Uint8Array> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        reader ??= (await begin()).stream.getReader();
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await reader?.cancel();
      },
    },
    { highWaterMark: 0 },
  );
}

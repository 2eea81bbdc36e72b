import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { BlobStoreBusyError, type ByteRange } from '../store.ts';
import { type BucketCall, type BucketCalls, bucketCalls } from './calls.ts';
import { BucketConnection, type Patience, said, type SendOptions, tokenName } from './connection.ts';
import { ConflictError, ObjectGoneError, statusOf, translated } from './failures.ts';
import { type ListedObject, Listings } from './listings.ts';
import { type Kept, Removals } from './removals.ts';
import type { S3Settings } from './settings.ts';

/** How long the answer to whether the bucket is there may take, in ms. */
const readyMs = 3000;

/** How often an object is put that others put at the same time; and between two tries at most twice as long each time, in ms. */
const conflicts = { tries: 8, leastMs: 10 };

/** What servers answer that have no lock for a bucket, or know of none at all. */
const noLockStatuses = new Set([400, 404, 405, 501]);

/** A part of a multipart upload, as the bucket has acknowledged it. */
export interface Part {
  readonly etag: string;
  readonly sizeBytes: number;
}

/** What a bucket says of an object. */
export interface ObjectFacts {
  readonly sizeBytes: number;
  /** Of the writer that it is of. */
  readonly token: string | undefined;
}

/** Bytes that come from a bucket. */
export interface Incoming {
  readonly stream: ReadableStream<unknown>;
  /** Of the whole object, whatever part of it comes; undefined where the server has not said. */
  readonly objectBytes: number | undefined;
}

/** What a bucket does with what is removed or overwritten. */
export interface BucketTraits {
  /** Whether it keeps older versions, or has kept some. */
  readonly isVersioned: boolean;
  /** Whether it may refuse to remove what is younger than somebody has said; undefined where it does not tell. */
  readonly isLocked: boolean | undefined;
}

/** One bucket: every call by which an object comes about, is read, and goes. What goes wrong is told in the words of a blob store (failures.ts). */
export class Bucket {
  /** For calls that are made of several (copying.ts). */
  readonly connection: BucketConnection;
  /** What lies there. */
  readonly listings: Listings;
  readonly #calls: BucketCalls;
  readonly #removals = new Removals((objects) => this.#deleteObjects(objects));

  /** @param calls what a test has in place of some of them */
  constructor(settings: S3Settings, patience?: Patience, calls: Partial<BucketCalls> = {}) {
    this.connection = new BucketConnection(settings, patience);
    this.listings = new Listings(this.connection);
    this.#calls = { ...bucketCalls, ...calls };
  }

  /**
   * @param isOnlyIfAbsent whether it must fail with an ObjectThereError where there is one, if the server can
   * @param onlyInPlaceOf the tag of the object without which it must fail in the same way
   */
  async put(
    key: string,
    bytes: Uint8Array,
    {
      token,
      isOnlyIfAbsent = false,
      onlyInPlaceOf,
    }: { readonly token?: string; readonly isOnlyIfAbsent?: boolean; readonly onlyInPlaceOf?: string } = {},
  ): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#put(key, bytes, { token, isOnlyIfAbsent, onlyInPlaceOf });
        return;
      } catch (error) {
        if (!(error instanceof ConflictError) || tries === conflicts.tries) throw error;
      }
      await sleep(conflicts.leastMs * 2 ** tries * Math.random());
    }
  }

  async #put(
    key: string,
    bytes: Uint8Array,
    {
      token,
      isOnlyIfAbsent,
      onlyInPlaceOf,
    }: {
      readonly token: string | undefined;
      readonly isOnlyIfAbsent: boolean;
      readonly onlyInPlaceOf: string | undefined;
    },
  ): Promise<void> {
    await this.#change(['put', key], (options) =>
      this.connection.client.send(
        new PutObjectCommand({
          ...this.connection.place,
          ...this.connection.written(token),
          Key: key,
          Body: bytes,
          ...(isOnlyIfAbsent && { IfNoneMatch: '*' }),
          ...(onlyInPlaceOf !== undefined && { IfMatch: onlyInPlaceOf }),
        }),
        options,
      ),
    );
  }

  /** @returns the upload's id, and whether it was the only try: the answer to another may have been lost, and an upload with it */
  async beginUpload(key: string, token?: string): Promise<{ readonly id: string; readonly isOnly: boolean }> {
    const { UploadId: id, $metadata: made } = await this.#change(['beginUpload', key], (options) =>
      this.connection.client.send(
        new CreateMultipartUploadCommand({ ...this.connection.place, ...this.connection.written(token), Key: key }),
        options,
      ),
    );
    return { id: said(id, 'UploadId'), isOnly: (made.attempts ?? 1) === 1 };
  }

  async putPart(
    key: string,
    { upload, number, bytes }: { readonly upload: string; readonly number: number; readonly bytes: Uint8Array },
    signal?: AbortSignal,
  ): Promise<Part> {
    const { ETag: etag } = await this.#change(
      ['putPart', key],
      (options) =>
        this.connection.client.send(
          new UploadPartCommand({
            ...this.connection.place,
            Key: key,
            UploadId: upload,
            PartNumber: number,
            Body: bytes,
          }),
          options,
        ),
      signal,
    );
    return { etag: said(etag, 'ETag'), sizeBytes: bytes.byteLength };
  }

  /** Makes the parts an object. @throws UploadGoneError where that has happened, or it is not these parts any more */
  async complete(key: string, upload: string, parts: readonly Part[]): Promise<void> {
    const named = parts.map(({ etag }, index) => ({ ETag: etag, PartNumber: index + 1 }));
    await this.#change(['complete', key], (options) =>
      this.connection.client.send(
        new CompleteMultipartUploadCommand({
          ...this.connection.place,
          Key: key,
          UploadId: upload,
          MultipartUpload: { Parts: named },
        }),
        options,
      ),
    );
  }

  async abort(key: string, upload: string): Promise<void> {
    await this.#change(['abort', key], (options) =>
      this.connection.client.send(
        new AbortMultipartUploadCommand({ ...this.connection.place, Key: key, UploadId: upload }),
        options,
      ),
    );
  }

  /** Removes objects, or versions of them; quietly where there are none. */
  async remove(objects: readonly ListedObject[]): Promise<void> {
    const [first] = objects;
    if (first === undefined) return;
    const call: BucketCall = this.#calls.remove;
    const [one, ...others] = await call(() => this.#removals.remove(objects), first.key);
    if (one === undefined) return;
    throw new BlobStoreBusyError(
      `the bucket keeps ${1 + others.length} objects that are to be removed (${one.reason}), such as ${one.key}`,
    );
  }

  async #deleteObjects(objects: readonly ListedObject[]): Promise<readonly Kept[]> {
    const named = objects.map(({ key, version }) => ({ Key: key, VersionId: version }));
    const { Errors: errors = [] } = await this.connection.call((options) =>
      this.connection.client.send(
        new DeleteObjectsCommand({ ...this.connection.place, Delete: { Objects: named, Quiet: true } }),
        options,
      ),
    );
    return errors
      .filter(({ Code }) => Code !== 'NoSuchKey' && Code !== 'NoSuchVersion')
      .map(({ Key: key = '', Code, Message }) => ({ key, reason: `${Code}: ${Message}` }));
  }

  /** Undefined where there is none. */
  async look(key: string): Promise<ObjectFacts | undefined> {
    try {
      const { ContentLength, Metadata } = await this.connection.call((options) =>
        this.connection.client.send(new HeadObjectCommand({ ...this.connection.place, Key: key }), options),
      );
      return { sizeBytes: ContentLength ?? 0, token: Metadata?.[tokenName] };
    } catch (error) {
      if (error instanceof ObjectGoneError) return undefined;
      throw error;
    }
  }

  /** @param signal breaks the stream off */
  async read(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<Incoming> {
    const asked = range === undefined ? {} : { Range: `bytes=${range.first}-${range.last}` };
    const { Body, ContentLength, ContentRange } = await this.connection.call(
      (options) =>
        this.connection.client.send(new GetObjectCommand({ ...this.connection.place, ...asked, Key: key }), options),
      signal,
    );
    if (Body === undefined) throw new BlobStoreBusyError('the bucket has answered without a body');
    const stream: ReadableStream<unknown> = Body.transformToWebStream();
    const ofRange = /\/(\d+)$/.exec(ContentRange ?? '')?.[1];
    return { stream, objectBytes: ofRange === undefined ? ContentLength : Number(ofRange) };
  }

  /** The whole of a small object, the word of its writer, and its tag. */
  async readAll(
    key: string,
  ): Promise<{ readonly bytes: Uint8Array; readonly token: string | undefined; readonly etag: string }> {
    return await this.connection.call(async (options) => {
      const { Body, Metadata, ETag } = await this.connection.client.send(
        new GetObjectCommand({ ...this.connection.place, Key: key }),
        options,
      );
      const bytes = await new Response(Body?.transformToWebStream()).bytes();
      return { bytes, token: Metadata?.[tokenName], etag: said(ETag, 'ETag') };
    });
  }

  /**
   * A URL that gives an object to whoever has it, for so long, or as long as the credentials last that it is signed with;
   * undefined where they have come to their end.
   */
  async signedUrl(key: string, lifeMs: number): Promise<string | undefined> {
    const { signer, place } = this.connection;
    try {
      const { expiration } = await signer.config.credentials();
      const lastsMs = expiration === undefined ? lifeMs : Math.min(lifeMs, expiration.getTime() - Date.now());
      const expiresIn = Math.floor(lastsMs / 1000);
      if (expiresIn < 1) return undefined;
      return await getSignedUrl(signer, new GetObjectCommand({ ...place, Key: key }), { expiresIn });
    } catch (error) {
      throw translated(error);
    }
  }

  /** Whether the bucket answers. */
  async isReady(): Promise<boolean> {
    try {
      await this.connection.client.send(new HeadBucketCommand(this.connection.place), {
        abortSignal: AbortSignal.timeout(readyMs),
      });
      return true;
    } catch {
      return false;
    }
  }

  /** Undefined where the server does not tell, such as for a lack of rights. */
  async traits(): Promise<BucketTraits | undefined> {
    try {
      const { Status } = await this.connection.call((options) =>
        this.connection.client.send(new GetBucketVersioningCommand(this.connection.place), options),
      );
      const isVersioned = Status !== undefined;
      // Objects can be locked only where versions are kept.
      const isLocked = isVersioned && (await this.#isLocked());
      this.connection.md5.isWanted ||= isLocked === true;
      return { isVersioned, isLocked };
    } catch {
      return undefined;
    }
  }

  async #isLocked(): Promise<boolean | undefined> {
    try {
      const { ObjectLockConfiguration: lock } = await this.connection.call((options) =>
        this.connection.client.send(new GetObjectLockConfigurationCommand(this.connection.place), options),
      );
      return lock?.ObjectLockEnabled === 'Enabled';
    } catch (error) {
      return noLockStatuses.has(statusOf(error) ?? 0) ? false : undefined;
    }
  }

  /** Makes a call that changes something. */
  async #change<T>(
    [name, key]: readonly [name: keyof BucketCalls, key: string],
    make: (options: SendOptions) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const call: BucketCall = this.#calls[name];
    return await call(() => this.connection.call(make, signal), key);
  }
}

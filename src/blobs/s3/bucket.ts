import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { FetchHttpHandler } from '@smithy/fetch-http-handler';
import { BlobStoreBusyError, type ByteRange } from '../store.ts';
import { fetchWithin } from './aborted-fetch.ts';
import { type BucketCall, type BucketCalls, bucketCalls } from './calls.ts';
import { ObjectGoneError, translated } from './failures.ts';
import { type Kept, Removals } from './removals.ts';
import type { S3Settings } from './settings.ts';

/** How often a call is tried at most. */
const mostAttempts = 4;
/** How long calls may take. */
export interface Patience {
  /** One try of a call, in ms. */
  readonly attemptMs: number;
  /** A call with all its tries, in ms. */
  readonly callMs: number;
}

/** Longer than a client waits helps nobody; a large part on a slow line takes its time. */
const usualPatience: Patience = { attemptMs: 30_000, callMs: 75_000 };
/** How long the answer to whether the bucket is there may take, in ms. */
const readyMs = 3000;

/** So many bytes are copied by one request at most, so that it ends in time. */
const copiedAtOnceBytes = 512 * 1024 ** 2;

/** Under which name of metadata an object says which writer it is of. */
const tokenName = 'wherry-writer';

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

/** An object of a listing; a version of it where the bucket keeps them. */
export interface ListedObject {
  readonly key: string;
  readonly version?: string | undefined;
}

/** A key of a listing. */
export interface ListedKey {
  readonly key: string;
  readonly sizeBytes: number;
  /** In ms since 1970. */
  readonly changedAt: number;
}

/** A multipart upload of a listing, which is not finished. */
export interface ListedUpload {
  readonly key: string;
  readonly id: string;
  /** In ms since 1970. */
  readonly begunAt: number;
}

/** What part of a listing is asked for. */
export interface ListingPage {
  readonly prefix: string;
  /** The key after which it begins. */
  readonly after?: string;
  /** Whether keys count that only have older versions, or a mark that they were removed. */
  readonly isVersioned: boolean;
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
  /** Whether it may refuse to remove what is younger than somebody has said. */
  readonly isLocked: boolean;
}

/** One bucket: every call that is made there. What goes wrong is told in the words of a blob store (failures.ts). */
export class Bucket {
  readonly #client: S3Client;
  /** Signs URLs for others, and asks nobody. */
  readonly #signer: S3Client;
  readonly #settings: S3Settings;
  readonly #callMs: number;
  readonly #calls: BucketCalls;
  readonly #place: { readonly Bucket: string };
  readonly #removals = new Removals((objects) => this.#deleteObjects(objects));

  /** @param calls what a test has in place of some of them */
  constructor(settings: S3Settings, patience = usualPatience, calls: Partial<BucketCalls> = {}) {
    const { endpoint, region, isPathStyle, bucket, redirectEndpoint } = settings;
    this.#settings = settings;
    this.#callMs = patience.callMs;
    this.#calls = { ...bucketCalls, ...calls };
    this.#place = { Bucket: bucket };
    const place = { ...(region !== undefined && { region }), forcePathStyle: isPathStyle };
    this.#client = new S3Client({
      ...place,
      ...(endpoint !== undefined && { endpoint }),
      maxAttempts: mostAttempts,
      // The signature covers the SHA-256 of what is sent, which servers compare; older ones know no other checksum.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: new FetchHttpHandler({ customFetch: fetchWithin(patience.attemptMs) }),
    });
    this.#signer =
      redirectEndpoint === undefined ? this.#client : new S3Client({ ...place, endpoint: redirectEndpoint });
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
    await this.#change(['put', key], (options) =>
      this.#client.send(
        new PutObjectCommand({
          ...this.#place,
          ...this.#written(token),
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
  async beginUpload(key: string, token: string): Promise<{ readonly id: string; readonly isOnly: boolean }> {
    const { UploadId: id, $metadata: made } = await this.#change(['beginUpload', key], (options) =>
      this.#client.send(
        new CreateMultipartUploadCommand({ ...this.#place, ...this.#written(token), Key: key }),
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
        this.#client.send(
          new UploadPartCommand({ ...this.#place, Key: key, UploadId: upload, PartNumber: number, Body: bytes }),
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
      this.#client.send(
        new CompleteMultipartUploadCommand({
          ...this.#place,
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
      this.#client.send(new AbortMultipartUploadCommand({ ...this.#place, Key: key, UploadId: upload }), options),
    );
  }

  /** The unfinished multipart uploads of one key. */
  async uploadsOf(key: string): Promise<readonly string[]> {
    const ids: string[] = [];
    let marker: { readonly KeyMarker?: string | undefined; readonly UploadIdMarker?: string | undefined } = {};
    for (;;) {
      const from = marker;
      const page = await this.#call((options) =>
        this.#client.send(new ListMultipartUploadsCommand({ ...this.#place, ...from, Prefix: key }), options),
      );
      for (const { Key, UploadId } of page.Uploads ?? []) {
        if (Key === key && UploadId !== undefined) ids.push(UploadId);
      }
      if (page.IsTruncated !== true) return ids;
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
  }

  /** What lies under a prefix; every version of it where `isVersioned` is said. */
  async objectsUnder(prefix: string, isVersioned: boolean): Promise<readonly ListedObject[]> {
    return isVersioned ? await this.#versionsUnder(prefix) : await this.#namesUnder(prefix);
  }

  async #namesUnder(prefix: string): Promise<readonly ListedObject[]> {
    const found: ListedObject[] = [];
    let token: string | undefined;
    do {
      const from = token;
      const page = await this.#call((options) =>
        this.#client.send(
          new ListObjectsV2Command({ ...this.#place, Prefix: prefix, ContinuationToken: from }),
          options,
        ),
      );
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) found.push({ key: Key });
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
    return found;
  }

  async #versionsUnder(prefix: string): Promise<readonly ListedObject[]> {
    const found: ListedObject[] = [];
    let marker: { readonly KeyMarker?: string | undefined; readonly VersionIdMarker?: string | undefined } = {};
    for (;;) {
      const from = marker;
      const page = await this.#call((options) =>
        this.#client.send(new ListObjectVersionsCommand({ ...this.#place, ...from, Prefix: prefix }), options),
      );
      for (const { Key, VersionId } of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) {
        if (Key !== undefined) found.push({ key: Key, version: VersionId });
      }
      if (page.IsTruncated !== true) return found;
      marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
    }
  }

  /** Some of the keys under a prefix, in their order; none where there are no more. */
  async page({ prefix, after, isVersioned }: ListingPage): Promise<readonly ListedKey[]> {
    if (isVersioned) return await this.#pageOfVersions(prefix, after);
    const { Contents: contents = [] } = await this.#call((options) =>
      this.#client.send(new ListObjectsV2Command({ ...this.#place, Prefix: prefix, StartAfter: after }), options),
    );
    return contents.flatMap(({ Key: key, Size, LastModified }) =>
      key === undefined ? [] : [{ key, sizeBytes: Size ?? 0, changedAt: LastModified?.getTime() ?? 0 }],
    );
  }

  /** Each key once: as large as all of its versions that are listed, and as old as the youngest. */
  async #pageOfVersions(prefix: string, after: string | undefined): Promise<readonly ListedKey[]> {
    const { Versions: versions = [], DeleteMarkers: markers = [] } = await this.#call((options) =>
      this.#client.send(new ListObjectVersionsCommand({ ...this.#place, Prefix: prefix, KeyMarker: after }), options),
    );
    const keys = new Map<string, ListedKey>();
    const add = (key: string | undefined, addedBytes: number, changed: Date | undefined): void => {
      if (key === undefined) return;
      const { sizeBytes = 0, changedAt = 0 } = keys.get(key) ?? {};
      keys.set(key, {
        key,
        sizeBytes: sizeBytes + addedBytes,
        changedAt: Math.max(changedAt, changed?.getTime() ?? 0),
      });
    };
    for (const { Key, Size = 0, LastModified } of versions) add(Key, Size, LastModified);
    for (const { Key, LastModified } of markers) add(Key, 0, LastModified);
    return [...keys.values()].sort((one, other) => Buffer.compare(Buffer.from(one.key), Buffer.from(other.key)));
  }

  /** The unfinished multipart uploads under a prefix, a page at a time. */
  async *uploadsUnder(prefix: string): AsyncGenerator<readonly ListedUpload[], void, undefined> {
    let marker: { readonly KeyMarker?: string | undefined; readonly UploadIdMarker?: string | undefined } = {};
    for (;;) {
      const from = marker;
      const page = await this.#call((options) =>
        this.#client.send(new ListMultipartUploadsCommand({ ...this.#place, ...from, Prefix: prefix }), options),
      );
      yield (page.Uploads ?? []).flatMap(({ Key: key, UploadId: id, Initiated: begun }) =>
        key === undefined || id === undefined ? [] : [{ key, id, begunAt: begun?.getTime() ?? 0 }],
      );
      if (page.IsTruncated !== true) return;
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
  }

  /**
   * Makes a copy of an object, without its bytes coming here.
   * @param atOnceBytes how many of them one request copies at most
   * @throws ObjectGoneError where there is none
   */
  async copy(from: string, to: string, atOnceBytes = copiedAtOnceBytes): Promise<void> {
    const facts = await this.look(from);
    if (facts === undefined) throw new ObjectGoneError('the object is not in the bucket');
    const source = [this.#settings.bucket, ...from.split('/')].map((part) => encodeURIComponent(part)).join('/');
    if (facts.sizeBytes > atOnceBytes) {
      await this.#copyInParts(source, to, { sizeBytes: facts.sizeBytes, atOnceBytes });
      return;
    }
    await this.#call((options) =>
      this.#client.send(
        new CopyObjectCommand({
          ...this.#place,
          ...this.#written(undefined),
          MetadataDirective: 'REPLACE',
          CopySource: source,
          Key: to,
        }),
        options,
      ),
    );
  }

  async #copyInParts(
    source: string,
    to: string,
    { sizeBytes, atOnceBytes }: { readonly sizeBytes: number; readonly atOnceBytes: number },
  ): Promise<void> {
    const { UploadId: id } = await this.#call((options) =>
      this.#client.send(
        new CreateMultipartUploadCommand({ ...this.#place, ...this.#written(undefined), Key: to }),
        options,
      ),
    );
    const upload = said(id, 'UploadId');
    try {
      const parts: Part[] = [];
      for (let first = 0; first < sizeBytes; first += atOnceBytes) {
        const last = Math.min(first + atOnceBytes, sizeBytes) - 1;
        const { CopyPartResult: copied } = await this.#call((options) =>
          this.#client.send(
            new UploadPartCopyCommand({
              ...this.#place,
              Key: to,
              UploadId: upload,
              PartNumber: parts.length + 1,
              CopySource: source,
              CopySourceRange: `bytes=${first}-${last}`,
            }),
            options,
          ),
        );
        parts.push({ etag: said(copied?.ETag, 'ETag'), sizeBytes: last - first + 1 });
      }
      await this.complete(to, upload, parts);
    } catch (error) {
      await this.abort(to, upload).catch(() => undefined);
      throw error;
    }
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
    const { Errors: errors = [] } = await this.#call((options) =>
      this.#client.send(new DeleteObjectsCommand({ ...this.#place, Delete: { Objects: named, Quiet: true } }), options),
    );
    return errors
      .filter(({ Code }) => Code !== 'NoSuchKey' && Code !== 'NoSuchVersion')
      .map(({ Key: key = '', Code, Message }) => ({ key, reason: `${Code}: ${Message}` }));
  }

  /** Undefined where there is none. */
  async look(key: string): Promise<ObjectFacts | undefined> {
    try {
      const { ContentLength, Metadata } = await this.#call((options) =>
        this.#client.send(new HeadObjectCommand({ ...this.#place, Key: key }), options),
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
    const { Body, ContentLength, ContentRange } = await this.#call(
      (options) => this.#client.send(new GetObjectCommand({ ...this.#place, ...asked, Key: key }), options),
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
    return await this.#call(async (options) => {
      const { Body, Metadata, ETag } = await this.#client.send(
        new GetObjectCommand({ ...this.#place, Key: key }),
        options,
      );
      const bytes = await new Response(Body?.transformToWebStream()).bytes();
      return { bytes, token: Metadata?.[tokenName], etag: said(ETag, 'ETag') };
    });
  }

  /** A URL that gives an object to whoever has it, for so long. */
  async signedUrl(key: string, lifeMs: number): Promise<string> {
    try {
      const command = new GetObjectCommand({ ...this.#place, Key: key });
      return await getSignedUrl(this.#signer, command, { expiresIn: Math.floor(lifeMs / 1000) });
    } catch (error) {
      throw translated(error);
    }
  }

  /** Whether the bucket answers. */
  async isReady(): Promise<boolean> {
    try {
      await this.#client.send(new HeadBucketCommand(this.#place), { abortSignal: AbortSignal.timeout(readyMs) });
      return true;
    } catch {
      return false;
    }
  }

  /** Undefined where the server does not tell, such as for a lack of rights. */
  async traits(): Promise<BucketTraits | undefined> {
    try {
      const { Status } = await this.#client.send(new GetBucketVersioningCommand(this.#place), {
        abortSignal: AbortSignal.timeout(this.#callMs),
      });
      const isVersioned = Status !== undefined;
      // Objects can be locked only where versions are kept.
      return { isVersioned, isLocked: isVersioned && (await this.#isLocked()) };
    } catch {
      return undefined;
    }
  }

  async #isLocked(): Promise<boolean> {
    try {
      const { ObjectLockConfiguration: lock } = await this.#client.send(
        new GetObjectLockConfigurationCommand(this.#place),
      );
      return lock?.ObjectLockEnabled === 'Enabled';
    } catch {
      return false;
    }
  }

  /** What every object is written with. */
  #written(token: string | undefined) {
    const { encryption, storageClass } = this.#settings;
    return {
      // A browser must not show a blob as a page, should somebody open its URL there.
      ContentType: 'application/octet-stream',
      ContentDisposition: 'attachment',
      ...(token !== undefined && { Metadata: { [tokenName]: token } }),
      ...(encryption !== undefined && { ServerSideEncryption: encryption.kind }),
      ...(encryption?.kind === 'aws:kms' && encryption.key !== undefined && { SSEKMSKeyId: encryption.key }),
      ...(storageClass !== undefined && { StorageClass: storageClass }),
    };
  }

  /** Makes a call that changes something. */
  async #change<T>(
    [name, key]: readonly [name: keyof BucketCalls, key: string],
    make: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const call: BucketCall = this.#calls[name];
    return await call(() => this.#call(make, signal), key);
  }

  /** Makes a call, which ends in time; what it throws is translated. */
  async #call<T>(
    make: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new BlobStoreBusyError('the bucket does not answer in time')),
      this.#callMs,
    );
    try {
      const abortSignal = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
      return await make({ abortSignal });
    } catch (error) {
      throw translated(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whatever an answer must have. */
function said(value: string | undefined, name: string): string {
  if (value === undefined) throw new BlobStoreBusyError(`the bucket has answered without ${name}`);
  return value;
}

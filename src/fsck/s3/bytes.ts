import { basename } from 'node:path';
import { Bucket } from '../../blobs/s3/bucket.ts';
import { copyObject } from '../../blobs/s3/copying.ts';
import { ObjectGoneError, UploadGoneError } from '../../blobs/s3/failures.ts';
import type { ListedUpload } from '../../blobs/s3/listings.ts';
import type { S3Settings } from '../../blobs/s3/settings.ts';
import { CannotCheckError } from '../records.ts';
import {
  BytesGoneError,
  objectName,
  type StoredBytes,
  type StoredThing,
  type ThingFacts,
  type UnfinishedUpload,
} from '../stored-bytes.ts';

/** So many bytes are asked for at once: a request is over before what it has brought is waited for. */
const pieceBytes = 8 * 1024 * 1024;

/**
 * Blobs in a bucket: `objects/ab/<oid>` under the prefix, pieces of them with more behind that name, and beside that
 * `quarantine/<oid>`, `generation` and `registries/<id>`. Where the bucket keeps versions, what has any is there.
 */
export class BucketBytes implements StoredBytes {
  readonly #bucket: Bucket;
  readonly #name: string;
  readonly #prefix: string;
  readonly #isVersioned: boolean;

  private constructor(bucket: Bucket, { bucket: name, prefix }: S3Settings, isVersioned: boolean) {
    this.#bucket = bucket;
    this.#name = name;
    this.#prefix = prefix;
    this.#isVersioned = isVersioned;
  }

  /** @throws CannotCheckError where the bucket does not answer, or no registry has its blobs there */
  static async open(settings: S3Settings): Promise<BucketBytes> {
    const bucket = new Bucket(settings);
    const traits = await bucket.traits();
    const bytes = new BucketBytes(bucket, settings, traits?.isVersioned === true);
    const [any] = await asked(() => bucket.listings.page({ prefix: `${settings.prefix}objects/`, isVersioned: false }));
    // What a registry leaves at its first start, before it has any blobs.
    if (any !== undefined || (await asked(() => bucket.look(`${settings.prefix}wherry`))) !== undefined) return bytes;
    throw new CannotCheckError(
      `no registry keeps its blobs in s3://${settings.bucket}/${settings.prefix}: either they were lost, or they lie elsewhere, which blobs has to say`,
    );
  }

  placeOf(oid: string): string {
    return this.#aboutKey(this.#keyOf(oid));
  }

  #keyOf(oid: string): string {
    return `${this.#prefix}objects/${oid.slice(0, 2)}/${oid}`;
  }

  #quarantinedKeyOf(oid: string): string {
    return `${this.#prefix}quarantine/${oid}`;
  }

  #aboutKey(key: string): string {
    return `s3://${this.#name}/${key}`;
  }

  /** By a listing, since the keys are in the order of the ids: a request for a thousand of them, instead of one for each. */
  async sizesOf(oids: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const wanted = new Map(oids.map((oid) => [this.#keyOf(oid), oid]));
    const [first, last] = [oids[0], oids.at(-1)];
    const sizes = new Map<string, number>();
    if (first === undefined || last === undefined) return sizes;
    const end = this.#keyOf(last);
    // What comes directly before the first key.
    let after = this.#keyOf(first).slice(0, -1);
    for (;;) {
      const page = await asked(() =>
        this.#bucket.listings.page({ prefix: `${this.#prefix}objects/`, after, isVersioned: false }),
      );
      for (const { key, sizeBytes } of page) {
        const oid = wanted.get(key);
        if (oid !== undefined) sizes.set(oid, sizeBytes);
      }
      after = page.at(-1)?.key ?? end;
      if (after >= end) return sizes;
    }
  }

  async sizeOf(oid: string): Promise<number | undefined> {
    return (await asked(() => this.#bucket.look(this.#keyOf(oid))))?.sizeBytes;
  }

  async thingsAfter(after: StoredThing | undefined): Promise<readonly StoredThing[]> {
    const prefix = `${this.#prefix}objects/`;
    const page = await asked(() =>
      this.#bucket.listings.page({ prefix, after: after?.place ?? prefix, isVersioned: this.#isVersioned }),
    );
    return page.map(({ key }) => {
      const { oid, isPiece } = this.#named(key);
      return { place: key, about: this.#aboutKey(key), oid, isPiece };
    });
  }

  /** Which object a key is of. */
  #named(key: string): { readonly oid: string | undefined; readonly isPiece: boolean } {
    const [name = '', ...behind] = basename(key).split('.');
    const isObject = objectName.test(name) && key.startsWith(this.#keyOf(name));
    return { oid: isObject ? name : undefined, isPiece: behind.length > 0 };
  }

  async look({ place }: StoredThing): Promise<ThingFacts | undefined> {
    const [first] = await asked(() => this.#bucket.listings.page({ prefix: place, isVersioned: this.#isVersioned }));
    return first?.key === place ? first : undefined;
  }

  /** Some servers find uploads by a whole key or by none: where there are none of the prefix, all are looked through. */
  async *uploads(): AsyncGenerator<readonly UnfinishedUpload[], void, undefined> {
    const isOwn = ({ key }: ListedUpload) =>
      ['objects/', 'quarantine/'].some((place) => key.startsWith(this.#prefix + place));
    for (const searched of new Set([this.#prefix, ''])) {
      let hasAny = false;
      for await (const page of told(this.#bucket.listings.uploadsUnder(searched))) {
        const uploads = page.filter(isOwn).map((upload) => this.#upload(upload));
        hasAny ||= uploads.length > 0;
        if (uploads.length > 0) yield uploads;
      }
      if (hasAny) return;
    }
  }

  #upload({ key, id, begunAt }: ListedUpload): UnfinishedUpload {
    const { oid, isPiece } = this.#named(key);
    const about = `upload to ${this.#aboutKey(key)}`;
    const isCopy = key.startsWith(this.#quarantinedKeyOf(''));
    return { place: key, id, about, oid: isPiece ? undefined : oid, isCopy, begunAt };
  }

  async isUnfinished({ place, id }: UnfinishedUpload): Promise<boolean> {
    return (await asked(() => this.#bucket.listings.uploadsOf(place))).includes(id);
  }

  async *read(oid: string, sizeBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let first = 0; first < sizeBytes; first += pieceBytes) {
      const range = { first, last: Math.min(first + pieceBytes, sizeBytes) - 1 };
      yield await asked(async () => {
        const { stream } = await this.#bucket.read(this.#keyOf(oid), range, new AbortController().signal);
        return await bytesOf(stream);
      });
    }
  }

  /** What is listed there is durable. */
  async sync(): Promise<void> {}

  async isQuarantined(oid: string): Promise<boolean> {
    return (await asked(() => this.#bucket.look(this.#quarantinedKeyOf(oid)))) !== undefined;
  }

  /**
   * By a copy, which the server makes, since nothing can be renamed there. A purge may remove the object and its copy
   * before the copy is there: it has to be known afterwards that the object was still wanted.
   */
  async quarantine(oid: string, isWanted: () => Promise<boolean>): Promise<string | undefined> {
    const [from, to] = [this.#keyOf(oid), this.#quarantinedKeyOf(oid)];
    try {
      await asked(() => copyObject(this.#bucket, { from, to }));
    } catch (error) {
      if (error instanceof BytesGoneError) return undefined;
      throw error;
    }
    if (!(await isWanted())) {
      await this.remove(to);
      return undefined;
    }
    try {
      await this.remove(from);
    } catch (error) {
      if (!this.#isVersioned) throw error;
      // A mark keeps anybody from getting what is locked. It goes with the object, when its lock has ended.
      await asked(() => this.#bucket.remove([{ key: from }]));
    }
    return this.#aboutKey(to);
  }

  async remove(place: string): Promise<void> {
    await asked(async () => {
      const versions = this.#isVersioned ? await this.#bucket.listings.objectsUnder(place, true) : [{ key: place }];
      await this.#bucket.remove(versions.filter(({ key }) => key === place));
    });
  }

  async abort({ place, id }: Pick<UnfinishedUpload, 'place' | 'id'>): Promise<void> {
    try {
      await asked(() => this.#bucket.abort(place, id));
    } catch (error) {
      if (!(error instanceof BytesGoneError)) throw error;
    }
  }

  async generation(): Promise<{ readonly place: string; readonly number: number }> {
    const key = `${this.#prefix}generation`;
    const place = this.#aboutKey(key);
    try {
      const { bytes } = await asked(() => this.#bucket.readAll(key));
      return { place, number: Number(/^\d+/.exec(Buffer.from(bytes).toString())?.[0] ?? 0) };
    } catch (error) {
      if (error instanceof BytesGoneError) return { place, number: 0 };
      throw error;
    }
  }

  async registries(): Promise<{ readonly place: string; readonly ids: readonly string[] }> {
    const prefix = `${this.#prefix}registries/`;
    const listed = await asked(() => this.#bucket.listings.objectsUnder(prefix, false));
    return {
      place: this.#aboutKey(prefix),
      ids: listed.map(({ key }) => basename(key)).filter((name) => objectName.test(name)),
    };
  }
}

/** Asks a bucket. @throws BytesGoneError; CannotCheckError where it does not answer, of which nothing can be concluded */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ObjectGoneError || error instanceof UploadGoneError) {
      throw new BytesGoneError(error.message, { cause: error });
    }
    throw new CannotCheckError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function* told<T>(pages: AsyncGenerator<T, void, undefined>): AsyncGenerator<T, void, undefined> {
  for (;;) {
    const next = await asked(() => pages.next());
    if (next.done === true) return;
    yield next.value;
  }
}

async function bytesOf(stream: ReadableStream<unknown>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(pieces);
    if (value instanceof Uint8Array) pieces.push(value);
  }
}

import { randomBytes } from 'node:crypto';
import { BlobMissingError, BlobStoreFullError, type BlobWriter, type WriterEnd } from '../store.ts';
import type { Bucket, Part } from './bucket.ts';
import { ObjectThereError } from './failures.ts';
import { PartBuffer } from './part-buffer.ts';
import { type Piece, type Progress, sizeOf } from './progress.ts';
import { leastBytesAtEnd, leastPartBytes, mostParts, partBytesOf } from './settings.ts';

/** With more pieces than this, they are put together into one, so that the next writer does not have to read many. */
const mostPieces = 16;

export interface S3WriterParts {
  readonly bucket: Bucket;
  readonly key: string;
  readonly epoch: number;
  /** How the upload stands. */
  readonly progress: Progress;
  readonly partBytes: number;
  /** Whether the server puts an object only where there is none, when it is asked to. */
  readonly knowsConditions: boolean;
  /** By which what it writes is known; one of its own where it is not given. */
  readonly token?: string;
}

interface Failed {
  readonly error: unknown;
}

/**
 * Writes an object part by part: one is being sent while the next is filled. Of each buffer, as many bytes are held back
 * as a part has at least, so that whenever the bytes end, the last part is none that is too small for more to follow. What
 * is too little for a part, or for one that is to be large, lies in objects of its own, from which the next writer reads it back.
 */
export class S3Writer implements BlobWriter {
  readonly #parts: S3WriterParts;
  readonly #token: string;
  readonly #stop = new AbortController();
  readonly #sent: Part[];
  #upload: Progress['upload'];
  #isDoubtful: boolean;
  #buffer: PartBuffer;
  /** That of the part that is being sent, or was. */
  #sentBuffer: PartBuffer | undefined;
  /** How many of the buffer's bytes were read back from pieces. */
  #inheritedBytes = 0;
  #sending: Promise<Failed | undefined> | undefined;

  private constructor(parts: S3WriterParts) {
    this.#parts = parts;
    this.#token = parts.token ?? randomBytes(16).toString('hex');
    this.#sent = [...parts.progress.parts];
    this.#upload = parts.progress.upload;
    this.#isDoubtful = parts.progress.isDoubtful;
    this.#buffer = this.#newBuffer(this.#sent.length + 1);
  }

  /** @throws BlobMissingError where pieces of the upload are gone */
  static async open(parts: S3WriterParts): Promise<S3Writer> {
    const writer = new S3Writer(parts);
    await writer.#readBack(parts.progress.pieces);
    return writer;
  }

  async #readBack(pieces: readonly Piece[]): Promise<void> {
    const { bucket, key } = this.#parts;
    for (const { suffix, sizeBytes, token } of pieces) {
      const { bytes, token: found } = await bucket.readAll(key + suffix);
      const isTheSame = bytes.byteLength === sizeBytes && (token === undefined || token === found);
      if (!isTheSame) throw new BlobMissingError('another writer has put other bytes in the place of a piece');
      const writing = this.write(bytes);
      if (writing !== undefined) await writing;
    }
    // With smaller parts than those before it had, some of it has become one.
    const wereSent = this.#sending !== undefined || this.#sent.length > this.#parts.progress.parts.length;
    this.#inheritedBytes = wereSent ? 0 : this.#buffer.size;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    const rest = this.#buffer.take(chunk);
    return rest.byteLength === 0 ? undefined : this.#writeOn(rest);
  }

  async #writeOn(chunk: Uint8Array): Promise<void> {
    // It is copied, as the next part may wait for the one before.
    for (let rest = chunk; rest.byteLength > 0;) {
      await this.#flush();
      rest = this.#buffer.take(rest);
    }
  }

  /** Sends what is in the buffer, but for as many bytes as the last part must have. */
  async #flush(): Promise<void> {
    await this.#settle();
    const full = this.#buffer;
    const sentBytes = full.size - leastPartBytes;
    this.#inheritedBytes = 0;
    this.#send(full.bytes(0, sentBytes));
    this.#buffer = this.#nextBuffer();
    this.#buffer.take(full.bytes(sentBytes));
    this.#sentBuffer = full;
  }

  /** That of the part before, which has been sent: the runtime is slow to see that memory of this size is free. */
  #nextBuffer(): PartBuffer {
    const spare = this.#sentBuffer;
    // The part that is being sent is not among them yet.
    const next = this.#newBuffer(this.#sent.length + 2);
    if (spare?.capacity !== next.capacity) return next;
    spare.clear();
    return spare;
  }

  /** @param number of the part that it is for */
  #newBuffer(number: number): PartBuffer {
    return new PartBuffer(partBytesOf(number, this.#parts.partBytes) + leastPartBytes);
  }

  #send(bytes: Uint8Array): void {
    const sending = this.#sendPart(bytes).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    this.#sending = sending;
  }

  async #sendPart(bytes: Uint8Array): Promise<void> {
    const { bucket, key } = this.#parts;
    if (this.#sent.length >= mostParts) {
      throw new BlobStoreFullError('the blob is larger than a bucket takes in parts of this size: see s3.partSize');
    }
    this.#upload ??= await this.#begin();
    const part = { upload: this.#upload.id, number: this.#sent.length + 1, bytes };
    this.#sent.push(await bucket.putPart(key, part, this.#stop.signal));
  }

  async #begin(): Promise<NonNullable<Progress['upload']>> {
    const { id, isOnly } = await this.#parts.bucket.beginUpload(this.#parts.key, this.#token);
    this.#isDoubtful ||= !isOnly;
    return { id, token: this.#token };
  }

  /** Waits for the part that is being sent. */
  async #settle(): Promise<void> {
    const failed = await this.#sending;
    this.#sending = undefined;
    if (failed !== undefined) throw failed.error;
  }

  async close(end: WriterEnd = 'final'): Promise<string> {
    return JSON.stringify(await this.finish(end));
  }

  /** The same, with the progress as it is. */
  async finish(end: WriterEnd): Promise<Progress> {
    if (end === 'dropped') return await this.#drop();
    await this.#settle();
    const { progress, epoch } = this.#parts;
    const hasNothingNew = this.#buffer.size === this.#inheritedBytes && this.#sent.length === progress.parts.length;
    const isWritten = sizeOf(progress) > 0 && (end !== 'final' || isWhole(progress) || progress.pieces.length === 0);
    if (hasNothingNew && isWritten) return { ...progress, epoch };

    const pieces = await this.#writeRest(end);
    const kept = new Set(pieces.map(({ suffix }) => suffix));
    const stale = progress.pieces.map(({ suffix }) => suffix).filter((suffix) => suffix !== '' && !kept.has(suffix));
    return {
      epoch,
      ...(this.#upload !== undefined && { upload: this.#upload }),
      parts: this.#sent,
      pieces: [...pieces],
      stale: [...progress.stale, ...stale],
      isDoubtful: this.#isDoubtful,
    };
  }

  get #leastBytesAtEnd(): number {
    return leastBytesAtEnd(this.#sent.length + 1, this.#parts.partBytes);
  }

  /** Writes what is in the buffer. @returns the pieces that there are then */
  async #writeRest(end: Exclude<WriterEnd, 'dropped'>): Promise<readonly Piece[]> {
    const isAll = this.#upload === undefined && (end === 'final' || (end === 'perhaps-final' && this.#buffer.size > 0));
    if (isAll && (await this.#putWhole())) return [{ suffix: '', sizeBytes: this.#buffer.size, token: this.#token }];
    if (this.#buffer.size >= this.#leastBytesAtEnd || end === 'final') {
      // An upload needs one part, and an object that has some does not need an empty one.
      if (this.#buffer.size > 0 || this.#sent.length === 0) await this.#sendPart(this.#buffer.bytes());
      return [];
    }
    return await this.#putPiece();
  }

  /**
   * Puts the whole object by one request, if there is none yet: an earlier writer's, late on its way, must never take the
   * place of what has been published since. @returns false where that cannot be
   */
  async #putWhole(): Promise<boolean> {
    const { bucket, key, progress, knowsConditions } = this.#parts;
    if (!knowsConditions || progress.pieces.some(({ suffix }) => suffix === '')) return false;
    try {
      await bucket.put(key, this.#buffer.bytes(), { token: this.#token, isOnlyIfAbsent: true });
      return true;
    } catch (error) {
      if (!(error instanceof ObjectThereError)) throw error;
      // It may be our own, of a try whose answer was lost.
      const there = await bucket.look(key);
      return there?.token === this.#token;
    }
  }

  async #putPiece(): Promise<readonly Piece[]> {
    const { bucket, key, progress } = this.#parts;
    const isGathered = progress.pieces.length >= mostPieces || this.#inheritedBytes === 0;
    const bytes = this.#buffer.bytes(isGathered ? 0 : this.#inheritedBytes);
    const before = isGathered ? [] : progress.pieces;
    if (bytes.byteLength === 0) return before;
    const suffix = `.tail-${this.#token}`;
    await bucket.put(key + suffix, bytes, { token: this.#token });
    return [...before, { suffix, sizeBytes: bytes.byteLength }];
  }

  /** Leaves what was there before, and of its own what can be taken away at once. */
  async #drop(): Promise<Progress> {
    const { bucket, key, progress } = this.#parts;
    this.#stop.abort();
    await this.#sending;
    if (this.#upload !== undefined && progress.upload === undefined) {
      // Where that fails, whoever publishes or removes the object finds it.
      await bucket.abort(key, this.#upload.id).catch(() => undefined);
    }
    return progress;
  }
}

/** Whether an upload's bytes are in the object's own place. */
export function isWhole({ parts, pieces }: Progress): boolean {
  return parts.length === 0 && pieces.length === 1 && pieces[0]?.suffix === '';
}

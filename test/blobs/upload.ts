import type { BlobStore, BlobWriter, ObjectId, WriterClaim, WriterEnd } from '../../src/blobs/store.ts';

/** An upload as the database knows it: what is known of it, and who is the last to have taken it over. */
export class Upload {
  readonly oid: ObjectId;
  readonly #store: BlobStore;
  #epoch = 0;
  offsetBytes = 0;
  progress = '';

  constructor(store: BlobStore, oid: ObjectId) {
    this.#store = store;
    this.oid = oid;
  }

  /** Takes the upload over. */
  claim(): WriterClaim {
    return { epoch: ++this.#epoch, progress: this.progress };
  }

  /** Opens a writer that has just taken it over. */
  async writer(store = this.#store): Promise<ClaimedWriter> {
    const claim = this.claim();
    return new ClaimedWriter(await store.append(this.oid, this.offsetBytes, claim), this.offsetBytes, claim.epoch);
  }

  /** Appends bytes by a writer of their own, and has that written down. */
  async append(bytes: Uint8Array | string, end: WriterEnd, store = this.#store): Promise<void> {
    const writer = await this.writer(store);
    await writer.write(bytes);
    await this.record(writer, end);
  }

  /** Closes a writer and writes down how far it has come. @returns false where another has taken the upload over */
  async record(writer: ClaimedWriter, end: WriterEnd): Promise<boolean> {
    const progress = await writer.close(end);
    if (writer.epoch !== this.#epoch) return false;
    this.progress = progress;
    this.offsetBytes = writer.offsetBytes;
    return true;
  }

  /** Goes back to the beginning, as where bytes are missing. */
  restart(): void {
    this.offsetBytes = 0;
    this.progress = '';
  }

  /** Publishes it, under a claim of its own. */
  async sync(store = this.#store): Promise<void> {
    await store.sync(this.oid, this.claim());
  }
}

/** A writer, and by which right it writes. */
export class ClaimedWriter {
  readonly epoch: number;
  offsetBytes: number;
  readonly #writer: BlobWriter;

  constructor(writer: BlobWriter, offsetBytes: number, epoch: number) {
    this.#writer = writer;
    this.offsetBytes = offsetBytes;
    this.epoch = epoch;
  }

  async write(bytes: Uint8Array | string): Promise<void> {
    const chunk = Buffer.from(bytes);
    this.offsetBytes += chunk.byteLength;
    await this.#writer.write(chunk);
    // Whoever gave it may use it again.
    chunk.fill(0);
  }

  async close(end: WriterEnd): Promise<string> {
    return await this.#writer.close(end);
  }
}

/** The physical name of an object: 32 lower-case hex digits, minted once and never used again (I2). */
export type ObjectId = string;

/** A range of bytes, both ends included, as HTTP counts. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The bytes. A blob store knows only object ids: it can create, append, cut off, read, measure, sync and remove. It never
 * renames or copies, and it knows nothing of digests. Its forms: directory/ (a local disk).
 */
export interface BlobStore {
  /**
   * Opens an object for appending at `offsetBytes`, creating it where that is 0; bytes behind the offset are cut off.
   * @throws BlobMissingError where the object is shorter than the offset; BlobStoreFullError
   */
  append(oid: ObjectId, offsetBytes: number): Promise<BlobWriter>;

  /**
   * Cuts off what is behind an object's first `sizeBytes` bytes, which needs no room on most disks; quietly where nothing
   * is (I12). @throws BlobStoreFullError
   */
  truncate(oid: ObjectId, sizeBytes: number): Promise<void>;

  /**
   * Begins an object, which must not be there yet, with the first `sizeBytes` bytes of another; with fewer, or not at all,
   * where that has no more. Its bytes must not change below that meanwhile. @throws BlobStoreFullError
   */
  copy(from: ObjectId, to: ObjectId, sizeBytes: number): Promise<void>;

  /** The object's size in bytes, undefined where there is none. */
  size(oid: ObjectId): Promise<number | undefined>;

  /** The object's bytes, streamed; whole or a range. They stay readable to the end even when the object is removed meanwhile. */
  read(oid: ObjectId, range?: ByteRange): Blob;

  /** Resolves once the object's bytes and its name survive a power cut (R37). @throws BlobStoreFullError */
  sync(oid: ObjectId): Promise<void>;

  /** Removes an object durably; quietly where there is none (I12). */
  remove(oid: ObjectId): Promise<void>;

  /**
   * Writes random bytes over all of an object's bytes, and over those of a copy that was put aside, durably, where that
   * means that they cannot be found on the disk any more. Says what came of it.
   */
  shred(oid: ObjectId): Promise<Shredded>;

  /**
   * Cuts off to nothing what this process still has open of objects whose names are gone, so that those who read it get no
   * more. Quietly where nothing is, and where the system does not tell what is open.
   */
  cutRemoved(oids: ReadonlySet<ObjectId>): Promise<void>;

  /** Removes a copy of an object that a check has put aside because it was damaged, durably; quietly where there is none. */
  removeQuarantined(oid: ObjectId): Promise<void>;

  /** Whether a copy of an object has been put aside. */
  isQuarantined(oid: ObjectId): Promise<boolean>;

  /** How many damaged copies have been put aside, of whatever objects. */
  quarantinedCount(): Promise<number>;

  /** The number that was last set; undefined where none ever was. */
  generation(): Promise<number | undefined>;

  /** Keeps a number with the bytes, durably. @throws BlobStoreFullError */
  setGeneration(generation: number): Promise<void>;

  /** Whether the store answers. */
  isReady(): Promise<boolean>;
}

/** What came of overwriting an object. */
export interface Shredded {
  readonly outcome:
    | 'overwritten'
    /** There was nothing any more that could have been overwritten. */
    | 'gone'
    /** It could not be, or would have meant nothing. */
    | 'not-overwritten';
  /** What that means where the bytes lay, or why. */
  readonly words: string;
}

/** Appends to one object. Exactly one of its two ends must be called. */
export interface BlobWriter {
  /** @throws BlobStoreFullError where the disk is full */
  write(chunk: Uint8Array): Promise<void> | undefined;

  /** Hands everything written to the operating system and closes. @throws BlobStoreFullError */
  close(): Promise<void>;
}

/** There is no room for more bytes; what was written before stays readable. */
export class BlobStoreFullError extends Error {
  override readonly name = 'BlobStoreFullError';
}

/** An object is not there, or shorter than its row says. */
export class BlobMissingError extends Error {
  override readonly name = 'BlobMissingError';
}

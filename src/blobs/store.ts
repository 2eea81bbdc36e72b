/** The physical name of an object: 32 lower-case hex digits, minted once and never used again (I2). */
export type ObjectId = string;

/** A range of bytes, both ends included, as HTTP counts. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The bytes. A blob store knows only object ids: it can create, append, cut off, read, measure, sync and remove. It never
 * renames or copies, and it knows nothing of digests. Its forms: directory/ (a local disk), s3/ (a bucket).
 *
 * Every call may throw a BlobStoreBusyError where the store does not answer in time.
 */
export interface BlobStore {
  /** Whether `size` costs next to nothing, so that it may be asked for at each pull. */
  readonly isSizeCheap: boolean;

  /** Whether it may have kept something of what was removed that nobody could tell or reach, such as older versions. */
  readonly mayKeepRemoved: boolean;

  /**
   * For how long something that was written may still come to the store after whoever wrote it has given it up, in ms: so
   * long, an object that was removed may come back. 0 where that cannot be.
   */
  readonly lateWritesMs: number;

  /**
   * Opens an object for appending at `offsetBytes`, creating it where that is 0; bytes behind the offset are cut off.
   * @throws BlobMissingError where the object is shorter than the offset; BlobStoreFullError
   */
  append(oid: ObjectId, offsetBytes: number, claim?: WriterClaim): Promise<BlobWriter>;

  /**
   * Cuts off what is behind an upload's first `offsetBytes` bytes, as far as that takes room.
   * @returns how many of them are there
   */
  cutBack(oid: ObjectId, offsetBytes: number): Promise<number>;

  /**
   * Cuts off what is behind an object's first `sizeBytes` bytes, which needs no room on most disks; quietly where nothing
   * is (I12). @throws BlobStoreFullError
   */
  truncate(oid: ObjectId, sizeBytes: number): Promise<void>;

  /**
   * Begins an object, which must not be there yet, with the first `sizeBytes` bytes of another; with fewer, or not at all,
   * where that has no more. Its bytes must not change below that meanwhile. Undefined where a writer of an earlier claim can
   * do no harm. @throws BlobStoreFullError
   */
  copy?(from: ObjectId, to: ObjectId, sizeBytes: number): Promise<void>;

  /** The object's size in bytes, undefined where there is none. */
  size(oid: ObjectId): Promise<number | undefined>;

  /**
   * The object's bytes, whole or a range, which can be read once `sync` is through. They stay readable to the end even
   * when the object is removed meanwhile.
   */
  read(oid: ObjectId, range?: ByteRange): BlobBytes;

  /**
   * The same, to be sent; a stream has begun to come when it is returned.
   * @param sizeBytes of the whole object, as its row says
   * @throws BlobMissingError where the object is not there, or known to have another size
   */
  open(oid: ObjectId, sizeBytes: number, range?: ByteRange): Promise<Blob | ReadableStream<Uint8Array>>;

  /** Where anybody can get the object's bytes for a while; undefined where they are sent by the registry. */
  publicUrl(oid: ObjectId): Promise<string | undefined>;

  /**
   * Resolves once the object's bytes and its name survive a power cut (R37). Can be repeated after it has failed with a
   * BlobStoreBusyError, with the same claim or a later one.
   *
   * @throws BlobStoreFullError; BlobMissingError where bytes of the upload are gone; ClaimLostError
   */
  sync(oid: ObjectId, claim?: WriterClaim): Promise<void>;

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

  /** The greatest number that was set; undefined where none ever was. */
  generation(): Promise<number | undefined>;

  /**
   * Keeps a number with the bytes, durably, unless there is a greater one: whoever sets one at the same time and comes late
   * does not take it back. @throws BlobStoreFullError
   */
  setGeneration(generation: number): Promise<void>;

  /** The ids of the registries that were left here. */
  registries(): Promise<readonly string[]>;

  /** Leaves the id of a registry with the bytes, durably, as of one that has its blobs here. @throws BlobStoreFullError */
  leaveRegistry(id: string): Promise<void>;

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

/** Which of the names beside blobs are ids of registries: others put files everywhere. */
export function registriesAmong(names: readonly string[]): readonly string[] {
  return names.filter((name) => /^[0-9a-f]{32}$/.test(name));
}

/** Bytes that can be read once. */
export interface BlobBytes {
  stream(): ReadableStream<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array>;
}

/** What the database knows of the one upload of an object, and by which right it is worked on. */
export interface WriterClaim {
  /** What the writer that came as far as the upload's offset has said when it closed; empty at the beginning. */
  readonly progress: string;
  /** Grows with each writer; only the one with the greatest may have its progress written down (R31). */
  readonly epoch: number;
  /** Whether it is still the greatest. Where it is not given, nobody else can come. */
  readonly isHeld?: () => Promise<boolean>;
}

/** What becomes of the bytes that a writer was given. */
export type WriterEnd =
  /** They are all that the object is to have. */
  | 'final'
  /** They may well be. */
  | 'perhaps-final'
  /** More are to come. */
  | 'more'
  /** They are not wanted. */
  | 'dropped';

/** Appends to one object. It must be closed. */
export interface BlobWriter {
  /** The chunk may be used again once this has returned. @throws BlobStoreFullError; BlobMissingError */
  write(chunk: Uint8Array): Promise<void> | undefined;

  /**
   * Hands everything over and closes.
   * @returns what has to be known to go on, in words of the store's own
   * @throws BlobStoreFullError; BlobMissingError where bytes of earlier writers are gone
   */
  close(end?: WriterEnd): Promise<string>;
}

/** There is no room for more bytes; what was written before stays readable. */
export class BlobStoreFullError extends Error {
  override readonly name = 'BlobStoreFullError';
}

/** The store does not answer, or not in time: what was asked may be asked again. */
export class BlobStoreBusyError extends Error {
  override readonly name = 'BlobStoreBusyError';
}

/** Another writer has taken the upload over, and it is for that one to publish it. */
export class ClaimLostError extends Error {
  override readonly name = 'ClaimLostError';
}

/** An object is not there, or shorter than its row says. */
export class BlobMissingError extends Error {
  override readonly name = 'BlobMissingError';
  /** Its first bytes that are there. */
  readonly availableBytes: number;

  constructor(message: string, { availableBytes = 0, ...options }: ErrorOptions & { availableBytes?: number } = {}) {
    super(message, options);
    this.availableBytes = availableBytes;
  }
}

/**
 * Where a registry's bytes lie, looked at with calls of its own: a mistake of the blob store must not hide what it has
 * done. Nothing here decides what is wrong.
 */
export interface StoredBytes {
  /** Where an object's bytes are, or would be: a path or a URL. */
  placeOf(oid: string): string;

  /**
   * The sizes of those of some objects, in the order of their ids, that can be known all at once, in bytes. What is not
   * among them has to be asked for.
   */
  sizesOf(oids: readonly string[]): Promise<ReadonlyMap<string, number>>;

  /** How many bytes an object has; undefined where there is none. */
  sizeOf(oid: string): Promise<number | undefined>;

  /** What is stored, after one of the things that are; nothing where that was the last. */
  thingsAfter(after: StoredThing | undefined): Promise<readonly StoredThing[]>;

  /** Undefined where it is gone. */
  look(thing: StoredThing): Promise<ThingFacts | undefined>;

  /** Uploads that have not been completed, some at a time, where they are not things themselves. */
  uploads(): AsyncGenerator<readonly UnfinishedUpload[], void, undefined>;

  /** Whether it still has not been completed or given up. */
  isUnfinished(upload: UnfinishedUpload): Promise<boolean>;

  /**
   * An object's bytes, piece by piece; a piece may be written over once the next is asked for.
   * @throws UnreadableError; BytesGoneError
   */
  read(oid: string, sizeBytes: number): AsyncGenerator<Uint8Array, void, undefined>;

  /**
   * Resolves once an object's bytes and its name survive a power cut: a row may be built on it.
   * @throws UnreadableError; BytesGoneError
   */
  sync(oid: string): Promise<void>;

  isQuarantined(oid: string): Promise<boolean>;

  /**
   * Takes an object out of service and keeps its bytes for a person to look at. From then on the registry finds them
   * missing, running or not: it answers 404 and takes the copy of whoever pushes the blob again (see "A damaged file" in
   * docs/reliability.md).
   *
   * @param isWanted whether they are to be kept: asked where they might have been removed meanwhile
   * @returns where they are; undefined where they are gone
   */
  quarantine(oid: string, isWanted: () => Promise<boolean>): Promise<string | undefined>;

  /** Removes something durably; quietly where it is gone. */
  remove(place: string): Promise<void>;

  /** Gives an unfinished upload up; quietly where it is none any more. */
  abort(upload: Pick<UnfinishedUpload, 'place' | 'id'>): Promise<void>;

  /** By which a database is noticed that is older. */
  generation(): Promise<{ readonly place: string; readonly number: number }>;

  /** The ids of the registries that were left beside the bytes, and what stands before them in their names. */
  registries(): Promise<{ readonly place: string; readonly ids: readonly string[] }>;
}

/** Something that lies where objects do. */
export interface StoredThing {
  /** A path or a key, by which it is found again. */
  readonly place: string;
  /** The same for a person. */
  readonly about: string;
  /** The object that it is, or is a piece of; undefined where no object could have this name. */
  readonly oid: string | undefined;
  readonly isPiece: boolean;
}

export interface ThingFacts {
  readonly sizeBytes: number;
  /** In ms since 1970. */
  readonly changedAt: number;
}

/** An object that is being written, and is not there until that is done. */
export interface UnfinishedUpload {
  readonly place: string;
  readonly id: string;
  readonly about: string;
  /** The object that it was to become; undefined where it was to be none. */
  readonly oid: string | undefined;
  /** Whether it was to be a copy that is put aside. */
  readonly isCopy: boolean;
  /** In ms since 1970. */
  readonly begunAt: number;
}

/** Bytes that are there and cannot be read. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

/** Bytes that were to be read, and are not there any more. */
export class BytesGoneError extends Error {
  override readonly name = 'BytesGoneError';
}

/** The name of an object, and the id of a registry: 32 digits. */
export const objectName = /^[0-9a-f]{32}$/;

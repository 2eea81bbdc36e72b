import type { Operation } from './operation.ts';

export interface WriteOptions {
  /**
   * Whether it may use up what is kept in reserve for when the disk is full (R38): for what leads to room being made,
   * such as a delete, and for what reads depend on.
   */
  readonly fromReserve?: boolean;
  /**
   * Whether it is carried out while the registry is read-only too: for what is no change of the registry, such as who has
   * logged in or what was pulled when. Everything else is refused with a RegistryReadOnlyError.
   */
  readonly whileReadOnly?: boolean;
  /**
   * Whether it goes by no rows but those that it changes itself: whatever could make it wrong changes one of them too, and one
   * of the two runs again. PostgreSQL need not watch what it reads then, which it does by the page (ADR 27).
   */
  readonly byOwnRows?: boolean;
}

/** What a transaction has seen as it began, which costs it no statement. */
export interface Begun {
  /** The number of the set of quotas in force; undefined where it has not looked, as one that is carried out while read-only. */
  readonly quotaRevision: number | undefined;
}

/** What processes that share a database tell each other of. */
export type Topic =
  /** Something was committed that may be in the review queue, or be an event. */
  | 'commit'
  /** There is a purge to be confirmed, or to be finished. */
  | 'purge'
  /** A process has confirmed a purge. */
  | 'confirmed';

export const topics: readonly Topic[] = ['commit', 'purge', 'confirmed'];

/** Why transactions were undone that ran again after it, and how often, since the process has begun. */
export interface Meetings {
  /** What one had read, another has written: the two could not have run one after the other. */
  readonly serialization: number;
  /** Each waited for a row that the other had. */
  readonly deadlock: number;
  /** Both have added the same row, or one has removed what the other refers to. */
  readonly constraint: number;
}

/** The only truth: rows in a database that has transactions. Its forms: sqlite/ (embedded), postgres/ (shared). */
export interface MetadataStore {
  /**
   * Runs an operation that only reads, on what is committed now. A power cut may still undo that: whoever promises
   * something on the strength of it waits for `durable` first.
   */
  read<T>(operation: () => Operation<T>): Promise<T>;

  /**
   * Runs an operation in a transaction and resolves once its commit is on the disk: what is answered after that cannot
   * be undone by a power cut (I7). A throw rolls back. The function may be called again where a database asks for a
   * retry or shares a transaction with one that failed, so it must not act outside the transaction.
   */
  write<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T>;

  /**
   * The same without waiting for the disk: the commit survives the end of the process, but a power cut may undo it,
   * together with all that was committed after it. For what no answer promises: an upload just opened, its offset, pull times.
   */
  writeUnsynced<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T>;

  /**
   * Resolves once what a read may have seen until now is on the disk.
   * @param what whether that is only what somebody is promised, or also what was written without waiting for the disk: for
   *   who tells of it in a way that must not be taken back, such as by the numbers of events
   * @throws MetadataBrokenError where that will never be
   */
  durable(what?: Seen): Promise<void>;

  /**
   * Gives up what the database keeps of older states of its pages, so that what an operation has deleted is not in its
   * log either. May keep everybody waiting for the disk: for a purge.
   *
   * @returns what became of them
   */
  forgetOldPages(): Promise<OldPages>;

  /** Whether other processes may write to the same database. */
  readonly isShared: boolean;

  /**
   * Is another number after every transaction: while it stays the same, what was read before is what a read would give
   * now. Undefined where that cannot be told.
   */
  readonly commits: number | undefined;

  /**
   * The number up to which all events are there that ever will be: one that was given a smaller number, and is not there,
   * was rolled back. Where transactions run side by side, a larger number may be committed first.
   */
  settledEvents(): Promise<number>;

  /**
   * Processes of earlier versions that are connected to the same database and know no migration as new as the one with this
   * number, so that they heed nothing that came with it: in words, how many connections come from where. None where nobody
   * else may be connected.
   */
  processesBefore(migration: number): Promise<readonly string[]>;

  /** Calls back after transactions that may have put something into the review queue; late at most, or in vain. */
  watch(committed: () => void): void;

  /**
   * Tells the other processes that share the database of something, as soon as that can be. They may miss it: nothing but
   * how soon they do what they would find out by themselves may depend on it.
   */
  announce(topic: Topic): void;

  /** Calls back for what other processes announce; for every topic where something may have been missed. */
  onAnnouncement(heard: (topic: Topic) => void): void;

  /** How often transactions have met; undefined where they run one after the other. */
  readonly meetings?: Meetings | undefined;

  /** What the database takes of its disk, in bytes. */
  sizeBytes(): Promise<number>;

  /** Whether the database answers. */
  isReady(): Promise<boolean>;

  close(): Promise<void>;
}

/** What of that which a read has seen. */
export type Seen = 'promised' | 'all';

/** What became of older states of pages. */
export type OldPages =
  /** They are gone. */
  | 'forgotten'
  /** Somebody reads one, such as fsck: once that is over they can be given up. */
  | 'being-read'
  /** They are gone from its tables; its log keeps them as it sees fit, and no client can tell it to give them up. */
  | 'kept';

/** The database cannot take a write because its disk is full; what was committed stays readable. */
export class MetadataFullError extends Error {
  override readonly name = 'MetadataFullError';
}

/** The database is locked or away; the same request may succeed a moment later. */
export class MetadataBusyError extends Error {
  override readonly name = 'MetadataBusyError';
}

/** The database keeps no text like one of those that it was given: only a request can have brought it. */
export class UnstorableTextError extends Error {
  override readonly name = 'UnstorableTextError';
}

/** Nothing may be changed for now, as an operator says. */
export class RegistryReadOnlyError extends Error {
  override readonly name = 'RegistryReadOnlyError';

  constructor(reason: string) {
    super(`the registry is read-only for now: ${reason}`);
  }
}

/** The disk failed to keep what the database wrote, so that no commit can be promised any more until a restart. */
export class MetadataBrokenError extends Error {
  override readonly name = 'MetadataBrokenError';
}

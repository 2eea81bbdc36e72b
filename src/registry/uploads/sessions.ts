import type { ObjectId } from '../../blobs/store.ts';
import type { Digest, DigestHasher } from '../../oci/digest.ts';

/** How many sessions' running hashes are kept at most; a session whose hash was dropped is read once more at its end. */
const maxHashes = 10_000;

/** A request's turn at an upload session: until it ends, no other request of this process touches the session's bytes. */
export class WriterTurn {
  /** Whom this has taken the session over from, in this process. */
  readonly #before: WriterTurn | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #isStopped = false;
  #interrupt: (() => Promise<void>) | undefined;
  #epoch: number | undefined;
  #oid: ObjectId | undefined;
  #isVerifying = false;

  constructor(before?: WriterTurn) {
    this.#before = before;
  }

  /** It has claimed the session, under this epoch, and writes into this object. */
  claimed(epoch: number, oid: ObjectId): void {
    this.#epoch = epoch;
    this.#oid = oid;
  }

  /** It has not, after all: that was undone, and nothing written. */
  notClaimed(): void {
    this.#epoch = undefined;
    this.#oid = undefined;
    this.#isVerifying = false;
  }

  /** Under which epoch it has claimed the session; undefined where it has not. */
  get epoch(): number | undefined {
    return this.#epoch;
  }

  /** What it may have written into; undefined where it has not claimed the session. */
  get oid(): ObjectId | undefined {
    return this.#oid;
  }

  /** It has all of the session's bytes, and is about to verify and to commit them. */
  verifies(): void {
    this.#isVerifying = true;
  }

  /** Resolves once this is through, and those before it, as far as they verify what they have. */
  async verified(): Promise<void> {
    if (this.#isVerifying) await this.#ended.promise;
    await this.#before?.verified();
  }

  /** Ends it, and those before it, as far as they have claimed the session before `epoch` was. */
  async stopBefore(epoch: number): Promise<void> {
    // Who has not claimed it yet will do so after, and has the others ended then.
    if (this.#epoch !== undefined && this.#epoch < epoch) return await this.stop();
    await this.#before?.stopBefore(epoch);
  }

  /** Whether a later request wants the session: what is still to come must not be written. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Says how to wake the request while it waits for its client; whoever was asked to stop before is woken at once. */
  interruptBy(interrupt: () => Promise<void>): void {
    this.#interrupt = interrupt;
    if (this.#isStopped) void interrupt();
  }

  /** Asks the request to end its turn; resolves once it has. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#interrupt?.();
    await this.#ended.promise;
  }

  /** Nothing more will be written. */
  end(): void {
    this.#ended.resolve();
  }
}

/** How a writer has left a session. */
export interface LeftUpload {
  readonly epoch: number;
  /** That of the database under which it had claimed the session: under another one it may know nothing of that claim. */
  readonly incarnation: string | null;
  readonly offsetBytes: number;
}

interface RunningHash extends LeftUpload {
  readonly hasher: DigestHasher;
}

/** What a session holds, as a writer of this process left it. */
export interface HeldUpload {
  readonly id: string;
  readonly left: LeftUpload;
  readonly digest: Digest;
}

/** Whether two mean the same writer's end: what a session holds is the same then. */
export function isSame(one: LeftUpload, other: LeftUpload): boolean {
  return one.epoch === other.epoch && one.incarnation === other.incarnation && one.offsetBytes === other.offsetBytes;
}

/**
 * What this process remembers of upload sessions beyond their rows: whose turn it is to write, and the hash of the bytes
 * so far, which spares reading them again. Both may be forgotten at any time.
 */
export class UploadSessions {
  /** Stands for the writers of this process, among those of others. */
  readonly writer = crypto.randomUUID();
  readonly #turns = new Map<string, WriterTurn>();
  readonly #hashes = new Map<string, RunningHash>();

  /**
   * Gives a request its turn at a session, after it has ended the turn of the request before it (R31): the latest comer
   * wins, and at any time at most one of them writes. Undefined where yet another one has come meanwhile.
   */
  async takeTurn<T>(id: string, work: (turn: WriterTurn) => Promise<T>): Promise<T | undefined> {
    const before = this.#turns.get(id);
    const turn = new WriterTurn(before);
    this.#turns.set(id, turn);
    try {
      if (before !== undefined) await before.stop();
      return turn.isStopped ? undefined : await work(turn);
    } finally {
      turn.end();
      if (this.#turns.get(id) === turn) this.#turns.delete(id);
    }
  }

  /** Ends the requests of this process that have claimed a session before another process has, under `epoch`. */
  async stopBefore(id: string, epoch: number): Promise<void> {
    await this.#turns.get(id)?.stopBefore(epoch);
  }

  /** Resolves once no request of this process verifies a session's bytes. */
  async verified(id: string): Promise<void> {
    await this.#turns.get(id)?.verified();
  }

  /** Whether a request of this process has its turn at a session, or waits for it. */
  isWriting(id: string): boolean {
    return this.#turns.has(id);
  }

  /** The hash of a session's bytes, if they are as a writer of this process has left them; it is handed over, not shared. */
  takeHash(id: string, left: LeftUpload): DigestHasher | undefined {
    const kept = this.#hashes.get(id);
    this.#hashes.delete(id);
    return kept !== undefined && isSame(kept, left) ? kept.hasher : undefined;
  }

  /** The digest of a session's bytes, where they are as a writer of this process left them and its hash is still known. */
  digestSoFar(id: string, left: LeftUpload): Digest | undefined {
    const kept = this.#hashes.get(id);
    return kept !== undefined && isSame(kept, left) ? kept.hasher.digest() : undefined;
  }

  /** The sessions whose bytes so far have one of some digests. */
  holding(digests: ReadonlySet<Digest>): readonly HeldUpload[] {
    return [...this.#hashes].flatMap(([id, left]) => {
      const digest = left.hasher.digest();
      return digests.has(digest) ? [{ id, left, digest }] : [];
    });
  }

  keepHash(id: string, hash: RunningHash): void {
    if (this.#hashes.size >= maxHashes) {
      const oldest = this.#hashes.keys().next();
      if (oldest.done !== true) this.#hashes.delete(oldest.value);
    }
    this.#hashes.set(id, hash);
  }

  forget(id: string): void {
    this.#hashes.delete(id);
  }
}

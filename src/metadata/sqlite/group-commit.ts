import type { Database, Statement } from 'bun:sqlite';
import { MetadataBusyError } from '../store.ts';

/** An operation that shares a transaction with others. */
export interface Member {
  /** Whether somebody will be told that it is done. */
  readonly mustLast: boolean;
  /** Runs its statements from the first to the last; called again where the transaction has to begin anew. */
  run(): void;
  /** Its transaction is committed. */
  committed(): void;
  failed(error: unknown): void;
}

/** What a group commit needs to know of the log's syncs, and what it tells. */
export interface Syncs {
  /** Carries a commit out. */
  commit(run: () => void): void;
  /** The sync under way. */
  readonly running: Promise<void> | undefined;
  /** Called after each commit, before anybody else learns of it; `mustLast`: somebody will wait for its sync. */
  onCommit(mustLast: boolean): void;
}

/**
 * Runs operations in shared transactions, one after the other, each from its first statement to its last without letting
 * go of the thread (R43). What comes in one turn of the event loop, or while a sync of the log is under way that it would
 * have to wait for anyway, is committed together: a commit writes each changed page to the log once, so that ten
 * operations that share one cost little more than two that don't. Nobody sees what an operation has written before the
 * commit, since reads have a connection of their own.
 *
 * An operation that throws takes none of the others with it: the transaction begins anew without it. When the commit
 * itself is refused, each operation gets a transaction of its own.
 */
export class GroupCommit {
  readonly #writer: Database;
  readonly #syncs: Syncs;
  readonly #begin: Statement<unknown, []>;
  readonly #commit: Statement<unknown, []>;
  readonly #rollback: Statement<unknown, []>;
  /** Those whose statements have run in the open transaction; none is open where there are none. */
  #members: Member[] = [];
  #ending: ReturnType<typeof setImmediate> | undefined;
  #isClosed = false;

  constructor(writer: Database, syncs: Syncs) {
    this.#writer = writer;
    this.#syncs = syncs;
    this.#begin = writer.query<unknown, []>('begin immediate');
    this.#commit = writer.query<unknown, []>('commit');
    this.#rollback = writer.query<unknown, []>('rollback');
  }

  /** Runs an operation at once; resolves with its result when it is committed. */
  async run<T>(operation: () => T, mustLast: boolean): Promise<T> {
    const outcome = Promise.withResolvers<T>();
    let result: { readonly value: T } | undefined;
    this.#join({
      mustLast,
      run() {
        result = { value: operation() };
      },
      committed() {
        if (result !== undefined) outcome.resolve(result.value);
      },
      failed: outcome.reject,
    });
    return await outcome.promise;
  }

  /** Commits what has run; does nothing where nothing has. */
  flush(): void {
    clearImmediate(this.#ending);
    this.#ending = undefined;
    const members = this.#members;
    this.#members = [];
    if (members.length === 0) return;
    try {
      this.#syncs.commit(() => void this.#commit.run());
    } catch (error) {
      this.#undo();
      const [only] = members;
      if (members.length === 1) only?.failed(error);
      else for (const member of members) this.#alone(member);
      return;
    }
    this.#syncs.onCommit(members.some((member) => member.mustLast));
    for (const member of members) member.committed();
  }

  /** Commits what has run, and refuses what comes after: requests that are cut off may go on for a while. */
  close(): void {
    this.flush();
    this.#isClosed = true;
  }

  #endTurn(): void {
    const { running } = this.#syncs;
    if (running === undefined) this.flush();
    else void this.#flushAfter(running);
  }

  async #flushAfter(sync: Promise<void>): Promise<void> {
    await sync;
    this.flush();
  }

  #join(member: Member): void {
    if (this.#isClosed) return member.failed(new MetadataBusyError('the registry is stopping'));
    try {
      if (this.#members.length === 0) this.#begin.run();
      member.run();
    } catch (error) {
      this.#undo();
      member.failed(error);
      const others = this.#members;
      this.#members = [];
      for (const other of others) this.#join(other);
      return;
    }
    this.#members.push(member);
    this.#ending ??= setImmediate(() => this.#endTurn());
  }

  #alone(member: Member): void {
    this.#join(member);
    this.flush();
  }

  /** A full disk may already have rolled the transaction back. */
  #undo(): void {
    if (this.#writer.inTransaction) this.#rollback.run();
  }
}

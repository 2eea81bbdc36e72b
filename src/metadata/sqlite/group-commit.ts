import type { Database } from 'bun:sqlite';
import { MetadataBusyError } from '../store.ts';
import { type Member, memberOf, SharedTransaction, type CommitSyncs } from './shared-transaction.ts';

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
  readonly #transaction: SharedTransaction;
  readonly #syncs: CommitSyncs;
  /** Those whose statements have run in the open transaction; none is open where there are none. */
  #members: Member[] = [];
  #ending: ReturnType<typeof setImmediate> | undefined;
  #isClosed = false;

  constructor(writer: Database, syncs: CommitSyncs) {
    this.#transaction = new SharedTransaction(writer, syncs);
    this.#syncs = syncs;
  }

  /** Runs an operation at once; resolves with its result when it is committed. */
  async run<T>(operation: () => T, mustLast: boolean): Promise<T> {
    const { member, outcome } = memberOf(operation, mustLast);
    this.#join(member);
    return await outcome;
  }

  /** Commits what has run; does nothing where nothing has. */
  flush(): void {
    clearImmediate(this.#ending);
    this.#ending = undefined;
    const members = this.#members;
    this.#members = [];
    if (members.length === 0) return;
    for (const member of this.#transaction.settle(members)) this.#alone(member);
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
      if (this.#members.length === 0) this.#transaction.begin();
      member.run();
    } catch (error) {
      this.#transaction.undo();
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
}

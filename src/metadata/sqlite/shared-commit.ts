import type { Database } from 'bun:sqlite';
import { MetadataBusyError } from '../store.ts';
import { isBusy } from './busy.ts';
import { type Member, memberOf, SharedTransaction, type CommitSyncs } from './shared-transaction.ts';

/** How soon it is tried again to begin while another process writes, in ms; a transaction takes a fraction of that. */
const againMs = 1;
/** How long an operation waits for other processes at most, in ms. */
const busyLimitMs = 5000;

interface Waiting extends Member {
  readonly since: number;
}

/**
 * Runs operations in shared transactions as GroupCommit does, where other processes write to the same database. A
 * transaction keeps those waiting, so it is not left open between two turns of the event loop: what comes is gathered
 * first, then run and committed in one go. While another process writes, it is tried again a moment later, and the event
 * loop goes on meanwhile.
 *
 * An operation that throws takes none of the others with it: the transaction begins anew without it. When the commit
 * itself is refused, each operation gets a transaction of its own.
 */
export class SharedCommit {
  readonly #transaction: SharedTransaction;
  readonly #syncs: CommitSyncs;
  #waiting: Waiting[] = [];
  #isScheduled = false;
  #isClosed = false;
  /** Resolves when nobody waits. */
  #idle: PromiseWithResolvers<void> | undefined;

  /** @param writer one that waits for nobody (`busy_timeout` 0) */
  constructor(writer: Database, syncs: CommitSyncs) {
    this.#transaction = new SharedTransaction(writer, syncs);
    this.#syncs = syncs;
  }

  /** Runs an operation soon; resolves with its result when it is committed. */
  async run<T>(operation: () => T, mustLast: boolean): Promise<T> {
    if (this.#isClosed) throw new MetadataBusyError('the registry is stopping');
    const { member, outcome } = memberOf(operation, mustLast);
    this.#waiting.push({ ...member, since: performance.now() });
    this.#schedule();
    return await outcome;
  }

  /** Runs and commits what waits, where no other process writes now. */
  flush(): void {
    const group = this.#waiting;
    this.#waiting = [];
    if (group.length > 0) this.#runAll(group);
    if (this.#waiting.length === 0) this.#idle?.resolve();
    else this.#again();
  }

  /** Keeps all others, and this process's own operations, from writing; @returns undefined where another one writes */
  hold(): Disposable | undefined {
    if (!this.#tryBegin()) return undefined;
    return { [Symbol.dispose]: () => this.#transaction.end() };
  }

  /** Refuses what comes after; resolves when what has come is committed, or has failed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.flush();
    if (this.#waiting.length === 0) return;
    this.#idle = Promise.withResolvers();
    await this.#idle.promise;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => void this.#endTurn());
  }

  #again(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(() => void this.#endTurn(), againMs);
  }

  async #endTurn(): Promise<void> {
    // Whoever comes meanwhile would have to wait for the next sync anyway.
    await this.#syncs.running;
    this.#isScheduled = false;
    this.flush();
  }

  #runAll(group: Waiting[]): void {
    let members = group;
    while (members.length > 0) {
      try {
        if (!this.#tryBegin()) return this.#putBack(members);
      } catch (error) {
        for (const member of members) member.failed(error);
        return;
      }
      const failed = this.#runEach(members);
      if (failed === undefined) {
        for (const member of this.#transaction.settle(members)) this.#runAll([member]);
        return;
      }
      members = members.filter((member) => member !== failed);
    }
  }

  /** @returns whose operation has failed; the transaction is over then */
  #runEach(members: readonly Waiting[]): Waiting | undefined {
    for (const member of members) {
      try {
        member.run();
      } catch (error) {
        this.#transaction.undo();
        member.failed(error);
        return member;
      }
    }
    return undefined;
  }

  /** @returns false where another process writes, or this one holds all back */
  #tryBegin(): boolean {
    if (this.#transaction.isOpen) return false;
    try {
      this.#transaction.begin();
      return true;
    } catch (error) {
      if (isBusy(error)) return false;
      throw error;
    }
  }

  #putBack(members: readonly Waiting[]): void {
    const now = performance.now();
    const stillWaiting = members.filter((member) => {
      if (now - member.since < busyLimitMs) return true;
      member.failed(new MetadataBusyError('the database is locked by another process'));
      return false;
    });
    this.#waiting = [...stillWaiting, ...this.#waiting];
  }
}

import type { Database, Statement } from 'bun:sqlite';

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

/** What a commit needs to know of the log's syncs, and what it tells. */
export interface CommitSyncs {
  /** Carries a commit out. */
  commit(run: () => void): void;
  /** The sync under way. */
  readonly running: Promise<void> | undefined;
  /** Called after each commit, before anybody else learns of it; `mustLast`: somebody will wait for its sync. */
  onCommit(mustLast: boolean): void;
}

/** An operation as a member, and what will become of it: its result, once that is committed. */
export function memberOf<T>(
  operation: () => T,
  mustLast: boolean,
): { readonly member: Member; readonly outcome: Promise<T> } {
  const { promise: outcome, resolve, reject } = Promise.withResolvers<T>();
  let result: { readonly value: T } | undefined;
  const member: Member = {
    mustLast,
    run() {
      result = { value: operation() };
    },
    committed() {
      if (result !== undefined) resolve(result.value);
    },
    failed: reject,
  };
  return { member, outcome };
}

/** The one transaction at a time of the connection that writes, which operations share. */
export class SharedTransaction {
  readonly #writer: Database;
  readonly #syncs: CommitSyncs;
  readonly #begin: Statement<unknown, []>;
  readonly #commit: Statement<unknown, []>;
  readonly #rollback: Statement<unknown, []>;

  constructor(writer: Database, syncs: CommitSyncs) {
    this.#writer = writer;
    this.#syncs = syncs;
    this.#begin = writer.query<unknown, []>('begin immediate');
    this.#commit = writer.query<unknown, []>('commit');
    this.#rollback = writer.query<unknown, []>('rollback');
  }

  get isOpen(): boolean {
    return this.#writer.inTransaction;
  }

  begin(): void {
    this.#begin.run();
  }

  /**
   * Commits what its members have run, and tells them. One that the commit is refused to has failed.
   * @returns those of several that it is refused to: each has to run again, in a transaction of its own
   */
  settle<Each extends Member>(members: readonly Each[]): readonly Each[] {
    try {
      this.#syncs.commit(() => void this.#commit.run());
    } catch (error) {
      this.undo();
      const [only] = members;
      if (members.length > 1) return members;
      only?.failed(error);
      return [];
    }
    this.#syncs.onCommit(members.some(({ mustLast }) => mustLast));
    for (const member of members) member.committed();
    return [];
  }

  /** Ends one that nothing has run in. */
  end(): void {
    this.#commit.run();
  }

  /** A full disk may already have rolled it back. */
  undo(): void {
    if (this.isOpen) this.#rollback.run();
  }
}

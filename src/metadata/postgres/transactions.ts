import type { PoolClient, QueryResult } from 'pg';
import { expectWritable, notLooked } from '../begun.ts';
import type { AsyncConnection, Operation } from '../operation.ts';
import { type Begun, MetadataBusyError, type Meetings, type WriteOptions } from '../store.ts';
import type { PostgresCalls } from './calls.ts';
import { PostgresConnection } from './connection.ts';
import { isConnectionLost, isLockTimeout, meetingOf } from './failures.ts';
import { type Patience, type Turn, Turns } from './turns.ts';

/**
 * How often a transaction that met another is tried, how often of that beside others, and how long it waits before it is,
 * in ms: twice as long each time.
 */
const trying = { tries: 20, together: 2, leastMs: 2, mostMs: 200 };
/**
 * How long a transaction that keeps meeting others waits for them to end, in this process and among all; and the others for
 * it, which may be short of nothing.
 */
const patience: Patience = { turnMs: 500, waitMs: 2000, crowdedMs: 5000 };
/** How long one that goes alone may stand still before the database ends it, in ms. */
const longestPauseMs = 5000;

interface TransactionsParts {
  /** Lends a connection, and throws what the rest of the program understands. */
  readonly onConnection: <T>(use: (client: PoolClient) => Promise<T>) => Promise<T>;
  readonly onCommitted: () => void;
  readonly calls: PostgresCalls;
  /** A clock that nobody sets, in ms. */
  readonly now: () => number;
  /** A number from 0 to 1. */
  readonly random: () => number;
}

/**
 * Runs operations as transactions (ADR 27). They are serializable: PostgreSQL sees to it that they come out as if one had
 * run after the other, as on SQLite, and undoes one of two that could not have; that one runs again. Those that go by nothing
 * but rows which they change themselves are so at REPEATABLE READ already, where of two that change a row the later one is
 * undone.
 */
export class Transactions {
  readonly #parts: TransactionsParts;
  readonly #turns: Turns;
  readonly #meetings: { -readonly [Kind in keyof Meetings]: number } = { serialization: 0, deadlock: 0, constraint: 0 };

  constructor(parts: TransactionsParts) {
    this.#parts = parts;
    this.#turns = new Turns(parts.now, patience);
  }

  get meetings(): Meetings {
    return { ...this.#meetings };
  }

  async read<T>(operation: () => Operation<T>): Promise<T> {
    return await this.#parts.onConnection(async (client) => {
      const connection = new PostgresConnection(client);
      const only = operation();
      const firstStep = only.next();
      if (firstStep.done === true) return firstStep.value;
      await firstStep.value.executeLater(connection);
      const next = only.next();
      if (next.done === true) return next.value;
      // More than one statement: all have to see the same state.
      const begin = async (): Promise<unknown> =>
        await client.query('begin isolation level repeatable read, read only');
      return await transact(client, begin, () => drive(operation(), connection));
    });
  }

  /**
   * @param mustLast whether it is on the database's disk when this resolves
   * @throws RegistryReadOnlyError; MetadataBusyError where it has met others too often
   */
  async write<T>(operation: (begun: Begun) => Operation<T>, mustLast: boolean, options: WriteOptions = {}): Promise<T> {
    const unsynced = mustLast ? '' : '; set local synchronous_commit = off';
    const { statement } = this.#parts.calls;
    const commit: Call = (send) => this.#parts.calls.commit(send, mustLast);
    const run = async (turn: Turn): Promise<T> => {
      const begin = `${beginning(options, turn)}${unsynced}`;
      return await this.#parts.onConnection((client) =>
        transact(
          client,
          () => beginInTurn(client, begin, turn),
          (begun) => drive(operation(begun), new PostgresConnection(client), statement),
          commit,
        ),
      );
    };
    for (let tried = 1; ;) {
      try {
        const result = await this.#inTurn(run, tried, options);
        this.#parts.onCommitted();
        return result;
      } catch (error) {
        if (error instanceof TurnMissedError) {
          this.#turns.crowd();
          continue;
        }
        const met = meetingOf(causeOf(error));
        if (met === undefined) throw error;
        this.#meetings[met]++;
        if (tried === trying.tries) throw error;
      }
      const mostMs = Math.min(trying.mostMs, trying.leastMs * 2 ** (tried - 1));
      await new Promise((resolve) => setTimeout(resolve, mostMs * this.#parts.random()));
      tried++;
    }
  }

  /** Who goes by nothing but rows of its own meets hardly anybody, and need not wait for those who have met. */
  async #inTurn<T>(run: (turn: Turn) => Promise<T>, tried: number, { byOwnRows = false }: WriteOptions): Promise<T> {
    if (byOwnRows) return await run('beside-others');
    return await (tried <= trying.together ? this.#turns.together(run) : this.#turns.alone(run));
  }
}

/**
 * Begins a transaction, and looks in the same message whether the registry is read-only, unless that makes no difference,
 * and which quotas are in force (ADR 30). A transaction that saw that it is not, and commits after it has become so, counts as
 * one before it: whoever reads a state in which it is read-only, serializable and deferrable, sees what that one has written; of
 * those that go by their own rows only, whoever has waited for them to end as well.
 */
function beginning({ whileReadOnly = false, byOwnRows = false }: WriteOptions, turn: Turn): string {
  const begin = byOwnRows
    ? 'begin isolation level repeatable read'
    : `begin isolation level serializable${turns[turn]}`;
  return whileReadOnly ? begin : `${begin}; ${look}`;
}

/**
 * Locks of a table that nobody else locks like that, before the first statement that sees anything. Reads pass them. Who
 * goes alone waits for those under way, and those after it wait for it; where one of them takes long, or has been stopped,
 * not for long: then all go beside each other for a while.
 */
const turns: Readonly<Record<Turn, string>> = {
  together: withinMs(patience.waitMs, 'lock table read_only in row share mode'),
  alone:
    withinMs(patience.turnMs, 'lock table read_only in exclusive mode') +
    `; set local idle_in_transaction_session_timeout = ${longestPauseMs}`,
  'beside-others': '',
};

function withinMs(ms: number, lock: string): string {
  return `; set local lock_timeout = ${ms}; ${lock}; set local lock_timeout = default`;
}

/** As `begunState`, but in a text that has no parameters. */
const look = `select (select reason from read_only where name = 'registry') as read_only_reason,
  (select revision from quota_set where name = 'registry') as quota_revision`;

/** @throws RegistryReadOnlyError where what was sent to begin has looked whether it is */
function seen(begun: QueryResult<Partial<BegunRow>> | QueryResult<Partial<BegunRow>>[]): Begun {
  const answers: readonly QueryResult<Partial<BegunRow>>[] = Array.isArray(begun) ? begun : [begun];
  // Numbers come as text: what begins has no types.
  for (const { rows } of answers) {
    for (const { read_only_reason: reason, quota_revision: revision } of rows) {
      expectWritable(reason);
      if (revision !== undefined && revision !== null) return { quotaRevision: Number(revision) };
    }
  }
  return notLooked;
}

interface BegunRow {
  readonly read_only_reason: string | null;
  readonly quota_revision: string | null;
}

type Call = <T>(send: () => Promise<T>) => Promise<T>;

const asItIs: Call = (send) => send();

/** Whom a transaction had to wait for took too long. */
class TurnMissedError extends Error {
  override readonly name = 'TurnMissedError';
}

/** What the database has said. */
function causeOf(error: unknown): unknown {
  return error instanceof MetadataBusyError ? error.cause : error;
}

/**
 * A lock that a later statement waits for in vain has nothing to do with turns: what connects, or the role, may have set a
 * `lock_timeout` of its own.
 * @throws RegistryReadOnlyError; TurnMissedError
 */
async function beginInTurn(client: PoolClient, begin: string, turn: Turn): Promise<Begun> {
  let begun: QueryResult<Partial<BegunRow>>;
  try {
    begun = await client.query<Partial<BegunRow>>(begin);
  } catch (error) {
    throw turn !== 'beside-others' && isLockTimeout(error) ? new TurnMissedError() : error;
  }
  return seen(begun);
}

async function transact<B, T>(
  client: PoolClient,
  begin: () => Promise<B>,
  run: (begun: B) => Promise<T>,
  commit: Call = asItIs,
): Promise<T> {
  try {
    const result = await run(await begin());
    await commit(() => client.query('commit'));
    return result;
  } catch (error) {
    if (!isConnectionLost(error)) await client.query('rollback');
    throw error;
  }
}

/** Runs an operation from its first statement to its last. */
async function drive<T>(operation: Operation<T>, connection: AsyncConnection, send: Call = asItIs): Promise<T> {
  for (;;) {
    const next = operation.next();
    if (next.done === true) return next.value;
    const step = next.value;
    await send(() => step.executeLater(connection));
  }
}

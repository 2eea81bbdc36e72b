import { Client, Pool, type PoolClient, type QueryResult } from 'pg';
import type { AsyncConnection, Operation } from '../operation.ts';
import {
  type Meetings,
  MetadataBusyError,
  type MetadataStore,
  type OldPages,
  RegistryReadOnlyError,
  type Seen,
  type Topic,
  type WriteOptions,
} from '../store.ts';
import { applicationNames } from './application-name.ts';
import { type PostgresCalls, postgresCalls } from './calls.ts';
import { Channel } from './channel.ts';
import { PostgresConnection } from './connection.ts';
import { isConnectionLost, isLockTimeout, meetingOf, translated, translatedOfConnecting } from './failures.ts';
import { flushLog } from './flushed-log.ts';
import { migrate } from './migrate.ts';
import { DatabaseUnusableError, oldestVersion, shownAddress } from './open-failure.ts';
import { forgetOldRows } from './old-rows.ts';
import { processesBefore } from './older-processes.ts';
import { Reconnecting } from './reconnecting.ts';
import { withServerOptions } from './server-options.ts';
import { SettledNumbers } from './settled-numbers.ts';
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
/** How long the database may take to be reached, and to answer a statement if nothing else is said, in ms. */
const connectTimeoutMs = 5_000;
const defaultStatementTimeoutMs = 30_000;
/** How long a vacuum may take, in ms: it reads the table's new pages, and its indexes. */
const defaultVacuumTimeoutMs = 300_000;
/**
 * How much longer it is waited for that answer, in ms, since a server that answers says itself when it was too slow. One that
 * has stopped with all its connections open says nothing.
 */
const answerGraceMs = 5_000;
/** How long the answer to whether it is there may take, in ms. */
const readyMs = 3_000;
/** How long nothing may come on a connection before it is asked whether the other end is there, in ms. */
const keepAliveMs = 10_000;

export interface PostgresParts {
  /** How many connections this process has at most. */
  readonly connections?: number;
  /** How long a statement may take, in ms; a transaction may stand still for twice as long. */
  readonly statementTimeoutMs?: number;
  /** How long it waits for the database's answer to a statement, in ms, before it gives the connection up. */
  readonly answerTimeoutMs?: number;
  /** How long the vacuum of a purge may take, in ms, before it is to be done again. */
  readonly vacuumTimeoutMs?: number;
  /** A connection that nobody was using was lost; others will be made. */
  readonly onConnectionLost?: (error: unknown) => void;
  /** A number from 0 to 1 by which those who met wait for different times. */
  readonly random?: () => number;
  /** A clock that nobody sets, in ms: by it it is tried again to connect, and to go alone. */
  readonly now?: () => number;
  /** A test holds some of them back, or lets them fail. */
  readonly calls?: Partial<PostgresCalls> | undefined;
}

/**
 * The metadata store in a PostgreSQL database, which many processes may share. Transactions are serializable: PostgreSQL
 * sees to it that they come out as if one had run after the other, as on SQLite, and undoes one of two that could not
 * have; that one runs again. Those that go by nothing but rows which they change themselves are so at REPEATABLE READ
 * already, where of two that change a row the later one is undone.
 */
export class PostgresMetadataStore implements MetadataStore {
  readonly isShared = true;
  readonly #pool: Pool;
  readonly #random: () => number;
  readonly #vacuumTimeoutMs: number;
  readonly #calls: PostgresCalls;
  readonly #reconnecting: Reconnecting;
  /** Those that are connected. */
  readonly #connected = new Set<PoolClient>();
  readonly #turns: Turns;
  readonly #numbers = new SettledNumbers('event_number');
  readonly #channel: Channel;
  readonly #meetings: { -readonly [Kind in keyof Meetings]: number } = { serialization: 0, deadlock: 0, constraint: 0 };
  #watcher: () => void = () => undefined;

  private constructor(
    pool: Pool,
    channel: Channel,
    {
      random = Math.random,
      now = () => performance.now(),
      vacuumTimeoutMs = defaultVacuumTimeoutMs,
      calls,
    }: PostgresParts,
  ) {
    this.#pool = pool;
    this.#channel = channel;
    this.#random = random;
    this.#vacuumTimeoutMs = vacuumTimeoutMs;
    this.#turns = new Turns(now, patience);
    this.#reconnecting = new Reconnecting({ now, random });
    pool.on('connect', (client) => {
      this.#connected.add(client);
      this.#reconnecting.reached();
    });
    pool.on('remove', (client) => this.#connected.delete(client));
    this.#calls = { ...postgresCalls, ...calls };
  }

  /** Connects to a database and brings its schema up to date. @throws NewerSchemaError, MetadataBusyError */
  static async open(url: string, parts: PostgresParts = {}): Promise<PostgresMetadataStore> {
    await migrateAt(url);
    const { statementTimeoutMs = defaultStatementTimeoutMs } = parts;
    const queryTimeoutMs = parts.answerTimeoutMs ?? statementTimeoutMs + answerGraceMs;
    const pool = new Pool({
      // Small tables are looked through as well, which would have every transaction meet every other.
      ...withServerOptions(url, '-c enable_seqscan=off -c plan_cache_mode=force_generic_plan'),
      max: parts.connections ?? 10,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveMs,
      application_name: applicationNames.usual,
      statement_timeout: statementTimeoutMs,
      query_timeout: queryTimeoutMs,
      idle_in_transaction_session_timeout: 2 * statementTimeoutMs,
    });
    const onLost = parts.onConnectionLost ?? (() => undefined);
    pool.on('error', onLost);
    // One that is lost while it is in use, between two statements: the next one of them says so.
    pool.on('connect', (client) => client.on('error', () => undefined));
    const channel = new Channel({
      newClient: () =>
        new Client({
          connectionString: url,
          connectionTimeoutMillis: connectTimeoutMs,
          keepAlive: true,
          keepAliveInitialDelayMillis: keepAliveMs,
          query_timeout: queryTimeoutMs,
          application_name: applicationNames.listening,
        }),
      run: async (sql, parameters) => await pool.query(sql, [...parameters]),
      onLost,
    });
    return new PostgresMetadataStore(pool, channel, parts);
  }

  async read<T>(operation: () => Operation<T>): Promise<T> {
    return await this.#onConnection(async (client) => {
      const connection = new PostgresConnection(client);
      const only = operation();
      const firstStep = only.next();
      if (firstStep.done === true) return firstStep.value;
      await firstStep.value.executeLater(connection);
      const next = only.next();
      if (next.done === true) return next.value;
      // More than one statement: all have to see the same state.
      return await transact(client, 'begin isolation level repeatable read, read only', () =>
        drive(operation(), connection),
      );
    });
  }

  async write<T>(operation: () => Operation<T>, options?: WriteOptions): Promise<T> {
    return await this.#write(operation, true, options);
  }

  async writeUnsynced<T>(operation: () => Operation<T>, options?: WriteOptions): Promise<T> {
    return await this.#write(operation, false, options);
  }

  /** What can be seen in PostgreSQL is on the disk already, but for what was written without waiting for it. */
  async durable(what: Seen = 'promised'): Promise<void> {
    if (what === 'all') await this.#onConnection(flushLog);
  }

  /** What is not seen any more is overwritten in the tables; the write-ahead log is the server's. */
  async forgetOldPages(): Promise<OldPages> {
    const times = { statementMs: this.#vacuumTimeoutMs, answerMs: this.#vacuumTimeoutMs + answerGraceMs };
    return (await this.#onConnection((client) => forgetOldRows(client, times))) ? 'kept' : 'being-read';
  }

  get commits(): undefined {
    return undefined;
  }

  async settledEvents(): Promise<number> {
    return await this.#onConnection((client) => this.#numbers.settled(client));
  }

  /** The time of the server's clock, in ms since 1970. */
  async time(): Promise<number> {
    return await this.#onConnection(async (client) => {
      const { rows } = await client.query<{ now: string }>(
        'select extract(epoch from clock_timestamp()) * 1000 as now',
      );
      return Number(rows[0]?.now);
    });
  }

  async processesBefore(migration: number): Promise<readonly string[]> {
    return await this.#onConnection((client) => processesBefore(client, migration));
  }

  watch(committed: () => void): void {
    this.#watcher = committed;
  }

  announce(topic: Topic): void {
    this.#channel.announce(topic);
  }

  onAnnouncement(heard: (topic: Topic) => void): void {
    this.#channel.listen(heard);
  }

  get meetings(): Meetings {
    return { ...this.#meetings };
  }

  async sizeBytes(): Promise<number> {
    const { rows } = await this.#onConnection((client) =>
      client.query<{ bytes: string }>('select pg_database_size(current_database()) as bytes'),
    );
    return Number(rows[0]?.bytes ?? 0);
  }

  /** Whoever asks waits for less long than a request does, and for none of them. */
  async isReady(): Promise<boolean> {
    // The client writes into what it is given.
    const looking = () => ({ text: 'select 1', query_timeout: readyMs });
    const asked: Promise<unknown>[] = [this.#pool.query(looking())];
    // Where new ones have to be made it counts whether they can be.
    if (this.#isEachInUse) asked.push(this.#channel.ask(looking()));
    const isAnswered = Promise.any(asked).then(
      () => true,
      () => false,
    );
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), readyMs);
    try {
      return await Promise.race([isAnswered, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether it has as many connections as it may have, and works on all of them. */
  get #isEachInUse(): boolean {
    return this.#connected.size >= this.#pool.options.max && this.#pool.idleCount === 0;
  }

  async close(): Promise<void> {
    await this.#channel.close();
    await this.#pool.end();
  }

  async #write<T>(operation: () => Operation<T>, mustLast: boolean, options: WriteOptions = {}): Promise<T> {
    const unsynced = mustLast ? '' : '; set local synchronous_commit = off';
    const { statement } = this.#calls;
    const commit: Call = (send) => this.#calls.commit(send, mustLast);
    const run = async (turn: Turn): Promise<T> => {
      const begin = `${beginning(options, turn)}${unsynced}`;
      try {
        return await this.#onConnection((client) =>
          transact(client, begin, () => drive(operation(), new PostgresConnection(client), statement), commit),
        );
      } catch (error) {
        throw turn !== 'beside-others' && isLockTimeout(causeOf(error)) ? new TurnMissedError() : error;
      }
    };
    for (let tried = 1; ;) {
      try {
        const result = await this.#inTurn(run, tried, options);
        this.#watcher();
        this.#channel.announce('commit');
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
      await new Promise((resolve) => setTimeout(resolve, mostMs * this.#random()));
      tried++;
    }
  }

  /** Who goes by nothing but rows of its own meets hardly anybody, and need not wait for those who have met. */
  async #inTurn<T>(run: (turn: Turn) => Promise<T>, tried: number, { byOwnRows = false }: WriteOptions): Promise<T> {
    if (byOwnRows) return await run('beside-others');
    return await (tried <= trying.together ? this.#turns.together(run) : this.#turns.alone(run));
  }

  /** One that is there, be it in use, shows that the database can be reached. */
  async #connection(): Promise<PoolClient> {
    const connect = async (): Promise<PoolClient> => await this.#pool.connect();
    return await (this.#connected.size > 0 ? connect() : this.#reconnecting.connect(connect));
  }

  async #onConnection<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
    let client: PoolClient;
    try {
      client = await this.#connection();
    } catch (error) {
      throw translatedOfConnecting(error);
    }
    try {
      const result = await use(client);
      client.release();
      return result;
    } catch (error) {
      client.release(isConnectionLost(error));
      throw translated(error);
    }
  }
}

async function migrateAt(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: connectTimeoutMs });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await expectVersion(client, url);
    await migrate(client);
  } catch (error) {
    throw translated(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function expectVersion(client: Client, url: string): Promise<void> {
  const { rows } = await client.query<{ version: number }>(
    `select current_setting('server_version_num')::integer as version`,
  );
  const version = rows[0]?.version ?? 0;
  if (version >= oldestVersion) return;
  throw new DatabaseUnusableError(
    `${shownAddress(url)} is a PostgreSQL ${Math.floor(version / 10_000)}, and it takes ${oldestVersion / 10_000} or later`,
  );
}

/**
 * Begins a transaction, and looks in the same message whether the registry is read-only, unless that makes no difference.
 * A transaction that saw that it is not, and commits after it has become so, counts as one before it: whoever reads a state
 * in which it is read-only, serializable and deferrable, sees what that one has written; of those that go by their own rows
 * only, whoever has waited for them to end as well.
 */
function beginning({ whileReadOnly = false, byOwnRows = false }: WriteOptions, turn: Turn): string {
  const begin = byOwnRows
    ? 'begin isolation level repeatable read'
    : `begin isolation level serializable${turns[turn]}`;
  return whileReadOnly ? begin : `${begin}; ${lookIfReadOnly}`;
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

const lookIfReadOnly = `select reason as read_only_reason from read_only where name = 'registry'`;

/** @throws RegistryReadOnlyError where what was sent to begin has looked, and it is */
function expectWritable(begun: QueryResult<Begun> | QueryResult<Begun>[]): void {
  const answers: readonly QueryResult<Begun>[] = Array.isArray(begun) ? begun : [begun];
  for (const { rows } of answers) {
    for (const { read_only_reason: reason } of rows) if (reason !== undefined) throw new RegistryReadOnlyError(reason);
  }
}

interface Begun {
  readonly read_only_reason?: string;
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

async function transact<T>(
  client: PoolClient,
  begin: string,
  run: () => Promise<T>,
  commit: Call = asItIs,
): Promise<T> {
  try {
    expectWritable(await client.query<Begun>(begin));
    const result = await run();
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

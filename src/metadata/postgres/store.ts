import { Client, Pool, type PoolClient } from 'pg';
import { endsWithin } from '../../ends-within.ts';
import type { Operation } from '../operation.ts';
import {
  type Begun,
  type Meetings,
  type MetadataStore,
  type OldPages,
  type Seen,
  type Topic,
  type WriteOptions,
} from '../store.ts';
import { applicationNames } from './application-name.ts';
import { type PostgresCalls, postgresCalls } from './calls.ts';
import { Channel } from './channel.ts';
import { isConnectionLost, translated, translatedOfConnecting } from './failures.ts';
import { flushLog } from './flushed-log.ts';
import { migrate } from './migrate.ts';
import { DatabaseUnusableError, oldestVersion, shownAddress } from './open-failure.ts';
import { forgetOldRows } from './old-rows.ts';
import { processesBefore } from './older-processes.ts';
import { Reconnecting } from './reconnecting.ts';
import { withServerOptions } from './server-options.ts';
import { SettledNumbers } from './settled-numbers.ts';
import { Transactions } from './transactions.ts';

/** How long the database may take to be reached, and to answer a statement if nothing else is said, in ms. */
const connectTimeoutMs = 5_000;
/**
 * Small tables are looked through as well, which would have every transaction meet every other. What can be read in no other
 * way, such as a sequence, costs a fortune by that in the planner's eyes, for which it would compile the statement first.
 */
const serverOptions = '-c enable_seqscan=off -c plan_cache_mode=force_generic_plan -c jit=off';
const defaultStatementTimeoutMs = 30_000;
/**
 * How much longer it is waited for that answer, in ms, since a server that answers says itself when it was too slow. One that
 * has stopped with all its connections open says nothing.
 */
const answerGraceMs = 5_000;
/** How long a vacuum may take, in ms: it reads the table's new pages, and its indexes. */
const defaultVacuumTimeoutMs = 300_000;
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

/** The metadata store in a PostgreSQL database, which many processes may share. */
export class PostgresMetadataStore implements MetadataStore {
  readonly isShared = true;
  readonly #pool: Pool;
  readonly #vacuumTimeoutMs: number;
  readonly #reconnecting: Reconnecting;
  /** Those that are connected. */
  readonly #connected = new Set<PoolClient>();
  readonly #transactions: Transactions;
  readonly #numbers = new SettledNumbers('event_number');
  readonly #channel: Channel;
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
    this.#vacuumTimeoutMs = vacuumTimeoutMs;
    this.#reconnecting = new Reconnecting({ now, random });
    pool.on('connect', (client) => {
      this.#connected.add(client);
      this.#reconnecting.reached();
    });
    pool.on('remove', (client) => this.#connected.delete(client));
    this.#transactions = new Transactions({
      onConnection: async (use) => await this.#onConnection(use),
      onCommitted: () => {
        this.#watcher();
        this.#channel.announce('commit');
      },
      calls: { ...postgresCalls, ...calls },
      now,
      random,
    });
  }

  /** Connects to a database and brings its schema up to date. @throws NewerSchemaError, MetadataBusyError */
  static async open(url: string, parts: PostgresParts = {}): Promise<PostgresMetadataStore> {
    await migrateAt(url);
    const { statementTimeoutMs = defaultStatementTimeoutMs } = parts;
    const queryTimeoutMs = parts.answerTimeoutMs ?? statementTimeoutMs + answerGraceMs;
    const pool = new Pool({
      ...withServerOptions(url, serverOptions),
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
    return await this.#transactions.read(operation);
  }

  async write<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T> {
    return await this.#transactions.write(operation, true, options);
  }

  async writeUnsynced<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T> {
    return await this.#transactions.write(operation, false, options);
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
    return this.#transactions.meetings;
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
    return await endsWithin(readyMs, Promise.any(asked)).catch(() => false);
  }

  /** Whether it has as many connections as it may have, and works on all of them. */
  get #isEachInUse(): boolean {
    return this.#connected.size >= this.#pool.options.max && this.#pool.idleCount === 0;
  }

  async close(): Promise<void> {
    await this.#channel.close();
    await this.#pool.end();
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

import { Client } from 'pg';
import { registrysNames } from '../metadata/postgres/application-name.ts';
import { registryConnection, registryConnections } from '../metadata/postgres/registry-connections.ts';
import { rowTypes } from '../metadata/postgres/row-types.ts';
import { numberOf, type MovedDatabase, type Row, type Value } from './database.ts';
import type { Table } from './tables.ts';

/** Whoever moves something to a database takes this lock there. */
const movingLock = 0x6d6f_7665;

/** How often it is looked whether transactions have ended, in ms. */
const lookMs = 10;

/** A PostgreSQL database. */
export class PostgresDatabase implements MovedDatabase {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async open(url: string): Promise<PostgresDatabase> {
    const client = new Client({ connectionString: url, application_name: 'wherry migrate', keepAlive: true });
    // What is under way tells of it.
    client.on('error', () => undefined);
    await client.connect();
    return new PostgresDatabase(client);
  }

  /** @returns whether nobody else moves something there, for as long as the connection lasts */
  async lock(): Promise<boolean> {
    return (await numberOf(this, 'select pg_try_advisory_lock(?) as locked', [movingLock])) === 1;
  }

  async schemaNumber(): Promise<number> {
    return await numberOf(this, 'select max(number) from schema_migration');
  }

  async olderProcesses(): Promise<readonly string[]> {
    const schema = await this.schemaNumber();
    const rows = await this.all(registryConnections);
    return rows
      .map(({ name, address, pid }) =>
        registryConnection(String(name), address === null ? null : String(address), Number(pid)),
      )
      .flatMap((one) => (one.schema === undefined || one.schema >= schema ? [] : [one.words]));
  }

  async all(sql: string, parameters: readonly Value[] = []): Promise<readonly Row[]> {
    const { rows } = await this.#client.query<Row>({
      text: numbered(sql),
      values: parameters.map(sent),
      types: rowTypes,
    });
    return rows;
  }

  async run(sql: string, parameters: readonly Value[] = []): Promise<void> {
    await this.all(sql, parameters);
  }

  async snapshot<T>(read: () => Promise<T>): Promise<T> {
    await this.#untilEarlierOnesEnded();
    // Waits until no transaction is under way that could come out as one before this state and is not in it.
    return await this.#within('begin isolation level serializable, read only, deferrable', read);
  }

  async transaction<T>(write: () => Promise<T>): Promise<T> {
    return await this.#within('begin', write);
  }

  /** As one parameter, since PostgreSQL plans each statement anew that has thousands. */
  async insert({ name, columns }: Table, rows: readonly Row[]): Promise<void> {
    const listed = columns.join(', ');
    await this.run(`insert into ${name} (${listed}) select ${listed} from json_populate_recordset(null::${name}, ?)`, [
      JSON.stringify(rows, (_, value: unknown) => (value instanceof Uint8Array ? `\\x${value.toHex()}` : value)),
    ]);
  }

  async goOnNumbering({ name, key }: Table): Promise<void> {
    const [column, ...others] = key;
    if (column === undefined || others.length > 0) return;
    const [found] = await this.all(
      `select coalesce(pg_get_serial_sequence('${name}', '${column}'), to_regclass('${name}_number')::text) as sequence`,
    );
    const sequence = found?.['sequence'];
    if (typeof sequence !== 'string') return;
    await this.run(
      `select setval('${sequence}', greatest((select coalesce(max(${column}), 0) + 1 from ${name}), nextval('${sequence}')), false)`,
    );
  }

  /** What is committed is on the disk. */
  async sync(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end().catch(() => undefined);
  }

  /**
   * PostgreSQL compares the serializable ones only, and the registry has others too. Each that changes something has looked
   * whether it is read-only, and keeps the lock of that until its end. Others who read that table, such as pg_dump and
   * `wherry fsck`, may take hours.
   */
  async #untilEarlierOnesEnded(): Promise<void> {
    const looking = async (): Promise<readonly unknown[]> =>
      (
        await this.all(
          `select distinct virtualtransaction as one from pg_locks join pg_stat_activity using (pid)
           where relation = 'read_only'::regclass and datname = current_database() and application_name ~ ?`,
          [registrysNames],
        )
      ).map(({ one }) => one);
    let earlier = new Set(await looking());
    while (earlier.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, lookMs));
      earlier = earlier.intersection(new Set(await looking()));
    }
  }

  async #within<T>(begin: string, run: () => Promise<T>): Promise<T> {
    await this.#client.query(begin);
    try {
      const result = await run();
      await this.#client.query('commit');
      return result;
    } catch (error) {
      await this.#client.query('rollback').catch(() => undefined);
      throw error;
    }
  }
}

function numbered(sql: string): string {
  let next = 0;
  return sql.replaceAll('?', () => `$${++next}`);
}

function sent(value: Value): string | number | Buffer | null {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
}

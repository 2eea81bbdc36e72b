import { Client, DatabaseError, type QueryResultRow } from 'pg';
import { migrations } from '../../metadata/migrations/all.ts';
import { registrysNames } from '../../metadata/postgres/application-name.ts';
import { translated } from '../../metadata/postgres/failures.ts';
import { openFailureText, shownAddress } from '../../metadata/postgres/open-failure.ts';
import { withServerOptions } from '../../metadata/postgres/server-options.ts';
import { rowTypes } from '../../metadata/postgres/row-types.ts';
import { CannotCheckError, expectKnownSchema, type Records, type Value } from '../records.ts';

/** How long the database may take to be reached, in ms. */
const connectTimeoutMs = 5000;

const undefinedTable = '42P01';

/**
 * A look at one thing must not take as long as a table is large, whatever the statistics say of that. What there is one way of
 * reading for only, such as a whole small table, is not to be compiled for seeming dear.
 */
export const plannerOptions =
  '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan -c jit=off';

/** A PostgreSQL database, which several servers may be changing. */
export class PostgresRecords implements Records {
  readonly database = 'postgres';
  readonly #client: Client;
  readonly #address: string;
  /** Statements by their text, in the words of PostgreSQL: each is prepared once. */
  readonly #statements = new Map<string, { readonly name: string; readonly text: string }>();

  private constructor(client: Client, address: string) {
    this.#client = client;
    this.#address = address;
  }

  /** @throws CannotCheckError where it cannot be read, or has tables that this version does not know */
  static async open(address: string): Promise<PostgresRecords> {
    const client = new Client({
      ...withServerOptions(address, plannerOptions),
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      application_name: 'wherry fsck',
    });
    // What was asked meanwhile, or is asked next, fails and tells.
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      throw new CannotCheckError(openFailureText(translated(error), address) ?? wordsOf(error), { cause: error });
    }
    const records = new PostgresRecords(client, address);
    try {
      expectKnownSchema(await records.#schema(), migrations.at(-1)?.number ?? 0);
      return records;
    } catch (error) {
      await client.end();
      throw error;
    }
  }

  async all<Row>(sql: string, ...parameters: readonly Value[]): Promise<Row[]> {
    const { name, text } = this.#statement(sql);
    const values = parameters.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value));
    try {
      return (await this.#client.query<Row & QueryResultRow>({ name, text, values, types: rowTypes })).rows;
    } catch (error) {
      throw this.#told(error);
    }
  }

  async snapshot<T>(read: () => Promise<T>): Promise<T> {
    await this.#run('begin isolation level repeatable read, read only');
    try {
      return await read();
    } finally {
      await this.#run('commit');
    }
  }

  async time(): Promise<number> {
    const [row] = await this.all<{ now: number }>('select extract(epoch from clock_timestamp()) * 1000 as now');
    return Math.floor(row?.now ?? NaN);
  }

  /**
   * By their connections: each server has some, and those of commands do not last. The one that listens lasts for as long as
   * its server; the others are closed once they have been idle for a while, and others made.
   */
  async servedSince(): Promise<number | undefined> {
    const [row] = await this.all<{ since: number | null }>(
      `select extract(epoch from min(backend_start)) * 1000 as since from pg_stat_activity
       where datname = current_database() and application_name ~ ?`,
      registrysNames,
    );
    return row?.since ?? undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
  }

  async #schema(): Promise<number> {
    try {
      const [row] = await this.all<{ number: number | null }>('select max(number) as number from schema_migration');
      return row?.number ?? 0;
    } catch (error) {
      if (!(error instanceof DatabaseError && error.code === undefinedTable)) throw error;
      throw new CannotCheckError(
        `there is no registry in the database ${shownAddress(this.#address)}: see that metadata names the right one`,
      );
    }
  }

  async #run(statement: string): Promise<void> {
    try {
      await this.#client.query(statement);
    } catch (error) {
      throw this.#told(error);
    }
  }

  #statement(sql: string): { readonly name: string; readonly text: string } {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = { name: `fsck_${this.#statements.size + 1}`, text: numbered(sql) };
    this.#statements.set(sql, statement);
    return statement;
  }

  /** A mistake in a statement is one of this program; everything else keeps it from looking. */
  #told(error: unknown): unknown {
    if (error instanceof DatabaseError && error.code?.startsWith('42') === true) return error;
    return new CannotCheckError(`the database ${shownAddress(this.#address)} cannot be read: ${wordsOf(error)}`, {
      cause: error,
    });
  }
}

/** `?` and `?1` as `$1`. */
export function numbered(sql: string): string {
  let last = 0;
  return sql.replaceAll(/\?(\d*)/g, (_, number: string) => `$${number === '' ? ++last : number}`);
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { Client } from 'pg';
import { z } from 'zod';

/** A connection to a registry's database from beside it, of which the database's own counters take no notice. */
export class Beside implements AsyncDisposable {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async connect(database: string): Promise<Beside> {
    const client = new Client({ connectionString: database, options: '-c track_counts=off' });
    await client.connect();
    return new Beside(client);
  }

  /** The rows that a query finds, as they are to be. */
  async rows<Row>(row: z.ZodType<Row>, sql: string, ...parameters: readonly unknown[]): Promise<readonly Row[]> {
    const { rows } = await this.#client.query<object>(sql, [...parameters]);
    return z.array(row).parse(rows);
  }

  /** How many rows a query finds or changes, or what they are in words. */
  async words(sql: string): Promise<readonly string[]> {
    const { rows } = await this.#client.query<object>(sql);
    return rows.map((row) => JSON.stringify(row));
  }

  async change(sql: string, ...parameters: readonly unknown[]): Promise<void> {
    await this.#client.query(sql, parameters.length === 0 ? undefined : [...parameters]);
  }

  /** Has all that is asked for see one committed state. */
  async inOneState<T>(look: () => Promise<T>): Promise<T> {
    await this.#client.query('begin isolation level repeatable read, read only');
    try {
      return await look();
    } finally {
      await this.#client.query('rollback');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
  }
}

import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { Client } from 'pg';
import { z } from 'zod';
import { rowTypes } from '../../src/metadata/postgres/row-types.ts';

/** Reads rows beside a registry, on a connection that stays open. */
export interface Reader {
  /** What each of some queries finds; in one go. */
  read(queries: readonly string[]): Promise<readonly (readonly unknown[])[]>;
  close(): Promise<void>;
}

/** Of `wherry.db` in a directory. */
export class SqliteReader implements Reader {
  readonly #database: Database;

  constructor(directory: string) {
    this.#database = new Database(join(directory, 'wherry.db'), { readonly: true });
  }

  async read(queries: readonly string[]): Promise<readonly (readonly unknown[])[]> {
    return queries.map((query) => this.#database.query(query).all());
  }

  async close(): Promise<void> {
    this.#database.close();
  }
}

const results = z.array(z.object({ rows: z.array(z.unknown()) }));

/** Of a PostgreSQL database. */
export class PostgresReader implements Reader {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async open(url: string): Promise<PostgresReader> {
    const client = new Client({ connectionString: url });
    await client.connect();
    return new PostgresReader(client);
  }

  async read(queries: readonly string[]): Promise<readonly (readonly unknown[])[]> {
    // Several statements in one text give one result each.
    const found: unknown = await this.#client.query({ text: queries.join(';'), types: rowTypes });
    return results.parse(Array.isArray(found) ? found : [found]).map(({ rows }) => rows);
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}

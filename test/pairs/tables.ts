import { Database, type SQLQueryBindings } from 'bun:sqlite';
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { postgresPrograms } from '../scale/postgres-server.ts';
import { templateDatabase } from './pair.ts';

/** A value that SQL takes. */
export type Bound = string | number | null;

/** The rows of a registry, read and changed from beside it, whether it runs or not. */
export interface Tables {
  /** What a query finds, `?` standing for its parameters. Names of columns are in lower case or quoted. */
  rows<Row>(sql: string, ...parameters: readonly Bound[]): Row[];
  /** Changes rows, as only damage or a fault does, whatever refers to what; `?` stands for a parameter. */
  change(sql: string, ...parameters: readonly Bound[]): void;
  /** The names of all tables. */
  names(): string[];
  /** The columns of a table that can be written. */
  columns(table: string): string[];
  /** Looks from now on as if a version that knows a schema 1000 had migrated it. */
  becomeNewer(): void;
  /** All that the database has, in whatever form, to look for something in it. */
  everything(): Uint8Array;
  /** Has the database refuse each change of a table of that kind that meets a condition (`new.name = 'x'`), until told otherwise. */
  refuse(change: 'insert' | 'update' | 'delete', table: string, condition: string): Refusal;
  /** Keeps all rows as they are now. */
  keep(): KeptRows;
  /** Forgets them all. */
  drop(): void;
}

/** Changes that a database refuses until this is disposed of. */
export type Refusal = Disposable;

/** What rows a registry had once. It must not run when they are put back. */
export interface KeptRows {
  putBack(): void;
}

/** Rows in `wherry.db` in a directory. */
export class SqliteTables implements Tables {
  readonly #path: string;
  #kept = 0;

  constructor(directory: string) {
    this.#path = join(directory, 'wherry.db');
  }

  rows<Row>(sql: string, ...parameters: readonly Bound[]): Row[] {
    using database = new Database(this.#path, { readonly: true });
    return database.query<Row, SQLQueryBindings[]>(sql).all(...parameters);
  }

  change(sql: string, ...parameters: readonly Bound[]): void {
    using database = new Database(this.#path);
    database.run(sql, [...parameters]);
  }

  names(): string[] {
    const sql = `select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'`;
    return this.rows<{ name: string }>(sql).map(({ name }) => name);
  }

  columns(table: string): string[] {
    return this.rows<{ name: string }>(`select name from pragma_table_info('${table}')`).map(({ name }) => name);
  }

  becomeNewer(): void {
    this.change('pragma user_version = 1000');
  }

  everything(): Uint8Array {
    const files = [this.#path, `${this.#path}-wal`].filter((file) => existsSync(file));
    return Buffer.concat(files.map((file) => readFileSync(file)));
  }

  refuse(change: 'insert' | 'update' | 'delete', table: string, condition: string): Refusal {
    this.change(
      `create trigger refused_${change} before ${change} on ${table} when ${condition}
       begin select raise(abort, 'refused'); end`,
    );
    return { [Symbol.dispose]: () => this.change(`drop trigger refused_${change}`) };
  }

  keep(): KeptRows {
    const copy = `${this.#path}-kept-${++this.#kept}`;
    this.change('vacuum into ?', copy);
    return {
      putBack: () => {
        rmSync(`${this.#path}-wal`, { force: true });
        copyFileSync(copy, this.#path);
      },
    };
  }

  drop(): void {
    // They go with the directory.
  }
}

/**
 * This process stands still meanwhile, and a transaction of a registry in it that has a row with it: what is counted in one of
 * several rows may go into another one the next time.
 */
const lockTimeout = `set lock_timeout = '1s'`;
const mostTries = 10;

/** Rows in a database of a PostgreSQL. */
export class PostgresTables implements Tables {
  readonly url: string;
  readonly #server: string;
  readonly #name: string;
  #kept = 0;

  constructor(server: string, name: string) {
    this.url = `${server}/${name}`;
    this.#server = server;
    this.#name = name;
  }

  /** Makes a database that has the newest schema and nothing else. */
  static create(server: string, name: string): PostgresTables {
    psql(`${server}/postgres`, `create database ${name} template ${templateDatabase} strategy file_copy`);
    return new PostgresTables(server, name);
  }

  /** Those of a database that is there. */
  static at(url: string): PostgresTables {
    const name = basename(new URL(url).pathname);
    return new PostgresTables(url.slice(0, -name.length - 1), name);
  }

  rows<Row>(sql: string, ...parameters: readonly Bound[]): Row[] {
    const found = psql(this.url, `select coalesce(json_agg(found), '[]') from (${filled(sql, parameters)}) as found`);
    return z.array(z.custom<Row>()).parse(JSON.parse(found, (_, value: unknown) => asSqliteGives(value)));
  }

  change(sql: string, ...parameters: readonly Bound[]): void {
    // Foreign keys are triggers there, which do not fire for replicas; those of the schema do (pairs/template.ts).
    const statements = ['set session_replication_role = replica', lockTimeout, filled(sql, parameters)];
    for (let tries = mostTries; ; tries--) {
      try {
        psql(this.url, ...statements);
        return;
      } catch (error) {
        if (tries === 1 || !String(error).includes('due to lock timeout')) throw error;
      }
    }
  }

  names(): string[] {
    const sql = `select tablename as name from pg_tables where schemaname = 'public'`;
    return this.rows<{ name: string }>(sql).map(({ name }) => name);
  }

  columns(table: string): string[] {
    const sql = 'select column_name as name from information_schema.columns where table_name = ? and is_generated = ?';
    return this.rows<{ name: string }>(sql, table, 'NEVER').map(({ name }) => name);
  }

  becomeNewer(): void {
    this.change(`insert into schema_migration (number, name) values (1000, 'later')`);
  }

  everything(): Uint8Array {
    return outputOf([join(postgresPrograms, 'pg_dump'), '--data-only', '--inserts', this.url]);
  }

  refuse(change: 'insert' | 'update' | 'delete', table: string, condition: string): Refusal {
    const name = `refused_${change}`;
    this.change(
      `create function ${name}() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
       create trigger ${name} before ${change} on ${table} for each row when (${condition}) execute function ${name}()`,
    );
    return {
      [Symbol.dispose]: () => this.change(`drop trigger ${name} on ${table}; drop function ${name}()`),
    };
  }

  keep(): KeptRows {
    const copy = `${this.#name}_kept_${++this.#kept}`;
    this.#administrate(
      // Only a database that nobody uses can be copied; a registry that is running makes its connections again.
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${this.#name}'`,
      `create database ${copy} template ${this.#name} strategy file_copy`,
    );
    return {
      putBack: () => {
        this.#administrate(
          `drop database ${this.#name} with (force)`,
          `create database ${this.#name} template ${copy} strategy file_copy`,
        );
      },
    };
  }

  drop(): void {
    this.#administrate(
      `drop database if exists ${this.#name} with (force)`,
      ...Array.from(
        { length: this.#kept },
        (_, index) => `drop database if exists ${this.#name}_kept_${index + 1} with (force)`,
      ),
    );
  }

  #administrate(...statements: readonly string[]): void {
    psql(`${this.#server}/postgres`, ...statements);
  }
}

function filled(sql: string, parameters: readonly Bound[]): string {
  let next = 0;
  return sql.replaceAll('?', () => literal(parameters[next++]));
}

function literal(value: Bound | undefined): string {
  if (value === undefined) throw new Error('a parameter is missing');
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  return value === null ? 'null' : String(value);
}

/** Conditions as 0 and 1, bytes as bytes. */
function asSqliteGives(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string' && /^\\x(?:[0-9a-f]{2})*$/.test(value)) return Uint8Array.fromHex(value.slice(2));
  return value;
}

/** Its own client, since a test that reads rows does not wait for them. */
function psql(database: string, ...statements: readonly string[]): string {
  // Not by the name: that is a script that looks for it first.
  const command: [string, ...string[]] = [join(postgresPrograms, 'psql'), '-XqAt', '-v', 'ON_ERROR_STOP=1', database];
  return outputOf(command, statements.map((statement) => `${statement};\n`).join('')).toString();
}

function outputOf(command: [string, ...string[]], input = ''): Buffer {
  const { stdout, stderr, exitCode } = Bun.spawnSync(command, { stdin: Buffer.from(input) });
  if (exitCode !== 0) throw new Error(`${input.slice(0, 1000)}: ${stderr.toString()}`);
  return stdout;
}

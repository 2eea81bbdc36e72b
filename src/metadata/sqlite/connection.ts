import { Database, type SQLQueryBindings } from 'bun:sqlite';
import type { SyncConnection } from '../operation.ts';
import type { CompiledQuery, Parameters, Query, Value } from '../query.ts';
import { sqliteDialect } from './dialect.ts';

/** Every query of the program stays prepared; there are some tens of them. */
Database.MAX_QUERY_CACHE_SIZE = 1000;

/** Executes queries on an SQLite database. */
export class SqliteConnection implements SyncConnection {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  all<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): R[] {
    const compiled = query.compiled(sqliteDialect);
    return this.#database.query<R, SQLQueryBindings[]>(compiled.sql).all(...bindingsOf(compiled, parameters));
  }

  first<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): R | undefined {
    const compiled = query.compiled(sqliteDialect);
    const row = this.#database.query<R, SQLQueryBindings[]>(compiled.sql).get(...bindingsOf(compiled, parameters));
    return row ?? undefined;
  }

  run<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): number {
    const compiled = query.compiled(sqliteDialect);
    return this.#database.query<R, SQLQueryBindings[]>(compiled.sql).run(...bindingsOf(compiled, parameters)).changes;
  }
}

function bindingsOf(compiled: CompiledQuery, parameters: Readonly<Record<string, Value>>): SQLQueryBindings[] {
  return compiled.bindings.map((binding) => {
    if (!('parameter' in binding)) return bindingOf(binding.constant);
    const value = parameters[binding.parameter];
    if (value === undefined) throw new Error(`the query's parameter ${binding.parameter} was not given`);
    return bindingOf(value);
  });
}

function bindingOf(value: unknown): SQLQueryBindings {
  if (typeof value === 'string' || typeof value === 'number' || value === null || value instanceof Uint8Array) {
    return value;
  }
  if (Array.isArray(value)) return JSON.stringify(value);
  throw new Error(`a value of type ${typeof value} cannot be bound to a parameter`);
}

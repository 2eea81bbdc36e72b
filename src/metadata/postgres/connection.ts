import type { ClientBase, QueryResult, QueryResultRow } from 'pg';
import type { AsyncConnection } from '../operation.ts';
import type { CompiledQuery, Parameters, Query, Value } from '../query.ts';
import { postgresDialect } from './dialect.ts';
import { rowTypes } from './row-types.ts';

type Sent = string | number | Buffer | null | readonly string[];

/** Names of prepared statements, by their text: each connection prepares a query once. */
const statementNames = new Map<string, string>();

/** Executes queries on a PostgreSQL connection. */
export class PostgresConnection implements AsyncConnection {
  readonly #client: ClientBase;

  constructor(client: ClientBase) {
    this.#client = client;
  }

  async all<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): Promise<R[]> {
    const { rows } = await this.#execute<R & QueryResultRow>(query.compiled(postgresDialect), parameters);
    return rows;
  }

  async first<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): Promise<R | undefined> {
    const { rows } = await this.#execute<R & QueryResultRow>(query.compiled(postgresDialect), parameters);
    return rows[0];
  }

  async run<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): Promise<number> {
    const { rowCount } = await this.#execute(query.compiled(postgresDialect), parameters);
    return rowCount ?? 0;
  }

  async #execute<R extends QueryResultRow>(
    compiled: CompiledQuery,
    parameters: Readonly<Record<string, Value>>,
  ): Promise<QueryResult<R>> {
    return await this.#client.query<R>({
      name: statementName(compiled.sql),
      text: compiled.sql,
      values: valuesOf(compiled, parameters),
      types: rowTypes,
    });
  }
}

function statementName(text: string): string {
  const known = statementNames.get(text);
  if (known !== undefined) return known;
  const name = `wherry_${statementNames.size + 1}`;
  statementNames.set(text, name);
  return name;
}

function valuesOf(compiled: CompiledQuery, parameters: Readonly<Record<string, Value>>): Sent[] {
  return compiled.bindings.map((binding) => {
    if (!('parameter' in binding)) return valueOf(binding.constant);
    const value = parameters[binding.parameter];
    if (value === undefined) throw new Error(`the query's parameter ${binding.parameter} was not given`);
    return valueOf(value);
  });
}

function valueOf(value: unknown): Sent {
  if (typeof value === 'string' || typeof value === 'number' || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(String);
  throw new Error(`a value of type ${typeof value} cannot be bound to a parameter`);
}

import type { Parameters, Query } from './query.ts';

/** One statement on a connection that answers at once (SQLite). */
export interface SyncConnection {
  all<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): R[];
  first<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): R | undefined;
  run<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): number;
}

/** One statement on a connection that answers later (PostgreSQL). */
export interface AsyncConnection {
  all<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): Promise<R[]>;
  first<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): Promise<R | undefined>;
  run<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): Promise<number>;
}

/** One statement of an operation, yielded to whoever runs it, who executes it before going on. */
export interface Step {
  execute(connection: SyncConnection): void;
  executeLater(connection: AsyncConnection): Promise<void>;
}

/**
 * A piece of a transaction, written once for every database: a generator that yields statements and goes on with their
 * rows. SQLite's runner drives it to the end without ever letting go of the thread, so nothing can come between two of
 * its statements (R43); PostgreSQL's awaits each one. Operations call each other by `yield*`.
 */
export type Operation<T> = Generator<Step, T, void>;

class RowsStep<P extends Parameters<P>, R> implements Step {
  readonly #query: Query<P, R>;
  readonly #parameters: P;
  rows: R[] = [];

  constructor(query: Query<P, R>, parameters: P) {
    this.#query = query;
    this.#parameters = parameters;
  }
  execute(connection: SyncConnection): void {
    this.rows = connection.all(this.#query, this.#parameters);
  }
  async executeLater(connection: AsyncConnection): Promise<void> {
    this.rows = await connection.all(this.#query, this.#parameters);
  }
}

class FirstRowStep<P extends Parameters<P>, R> implements Step {
  readonly #query: Query<P, R>;
  readonly #parameters: P;
  row: R | undefined;

  constructor(query: Query<P, R>, parameters: P) {
    this.#query = query;
    this.#parameters = parameters;
  }
  execute(connection: SyncConnection): void {
    this.row = connection.first(this.#query, this.#parameters);
  }
  async executeLater(connection: AsyncConnection): Promise<void> {
    this.row = await connection.first(this.#query, this.#parameters);
  }
}

class ChangeStep<P extends Parameters<P>, R> implements Step {
  readonly #query: Query<P, R>;
  readonly #parameters: P;
  changedRows = 0;

  constructor(query: Query<P, R>, parameters: P) {
    this.#query = query;
    this.#parameters = parameters;
  }
  execute(connection: SyncConnection): void {
    this.changedRows = connection.run(this.#query, this.#parameters);
  }
  async executeLater(connection: AsyncConnection): Promise<void> {
    this.changedRows = await connection.run(this.#query, this.#parameters);
  }
}

/** All rows of a query. */
export function* all<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): Operation<R[]> {
  const step = new RowsStep(query, parameters);
  yield step;
  return step.rows;
}

/** The first row of a query, undefined where there is none. */
export function* first<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): Operation<R | undefined> {
  const step = new FirstRowStep(query, parameters);
  yield step;
  return step.row;
}

/** Executes an insert, update or delete without `returning`; returns how many rows it touched. */
export function* change<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): Operation<number> {
  const step = new ChangeStep(query, parameters);
  yield step;
  return step.changedRows;
}

/** What can stand for a `?`. */
export type Value = string | number | Uint8Array | null;

/** Why there is nothing that could be checked, in words for the operator. */
export class CannotCheckError extends Error {
  override readonly name = 'CannotCheckError';
}

/**
 * A registry's database, read on a connection of its own with SQL of its own: a mistake in the registry's queries must not
 * hide what it has done. Works beside running servers and without one. Statements are written once for all databases, so
 * names with capitals stand in quotes, and whatever is true is 1.
 */
export interface Records extends AsyncDisposable {
  readonly database: 'sqlite' | 'postgres';

  /** @param sql with `?` for each parameter, or `?1` where one stands in several places */
  all<Row>(sql: string, ...parameters: readonly Value[]): Promise<Row[]>;

  /** Runs reads that all see one committed state. It must be short: what is changed meanwhile takes room until it ends. */
  snapshot<T>(read: () => Promise<T>): Promise<T>;

  /** The time that those who serve it go by, in ms since 1970. */
  time(): Promise<number>;

  /** Since when a server has been running, in ms since 1970; undefined where none is. */
  servedSince(): Promise<number | undefined>;
}

/** Whether a query finds anything. */
export async function finds(records: Records, sql: string, ...parameters: readonly Value[]): Promise<boolean> {
  return (await records.all(sql, ...parameters)).length > 0;
}

/** @throws CannotCheckError where a database's tables are others than this version of the program checks */
export function expectKnownSchema(current: number, newest: number): void {
  if (current > newest) {
    throw new CannotCheckError(
      `the database has schema ${current}, this version of wherry knows schemas up to ${newest}: use the newer version`,
    );
  }
  if (current < newest) {
    throw new CannotCheckError(
      `the database has schema ${current}, this version of wherry checks schema ${newest}: start wherry once, which brings it up to date`,
    );
  }
}

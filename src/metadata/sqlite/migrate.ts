import type { Database } from 'bun:sqlite';
import { migrations } from '../migrations/all.ts';
import type { DefinitionDialect, Migration } from '../migrations/migration.ts';

const definitionDialect: DefinitionDialect = {
  bytes: 'blob',
  integer: 'integer',
  identity: 'integer primary key',
  clustered: 'strict, without rowid',
  trigger({ name, after, table, when, statements }) {
    const condition = when === undefined ? '' : ` when ${when}`;
    const body = statements.map((statement) => `${statement};`).join(' ');
    return [`create trigger ${name} after ${after} on ${table}${condition} begin ${body} end`];
  },
};

/** A database made by a later version, whose tables this one does not know. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError';
}

/**
 * Brings the schema up to date: every migration that has not run yet, each in its own transaction together with the
 * schema's new number (SQLite's user_version).
 */
export function migrate(database: Database, steps: readonly Migration[] = migrations): void {
  const current = database.query<{ user_version: number }, []>('pragma user_version').get()?.user_version ?? 0;
  const newest = steps.at(-1)?.number ?? 0;
  if (current > newest) {
    throw new NewerSchemaError(
      `the database has schema ${current}, this version of wherry knows schemas up to ${newest}: start the newer version`,
    );
  }
  for (const step of steps) {
    if (step.number <= current) continue;
    database.transaction(() => {
      for (const statement of step.statements(definitionDialect)) database.run(statement);
      database.run(`pragma user_version = ${step.number}`);
    })();
  }
}

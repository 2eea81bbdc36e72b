import type { Database } from 'bun:sqlite';
import { migrations } from '../migrations/all.ts';
import type { DefinitionDialect, Migration } from '../migrations/migration.ts';
import { NewerSchemaError } from '../migrations/newer-schema.ts';

const definitionDialect: DefinitionDialect = {
  bytes: 'blob',
  text: 'text',
  integer: 'integer',
  identity: 'integer primary key',
  emptiedByCrashes: '',
  clustered: 'strict, without rowid',
  // One transaction at a time writes.
  counterShard: '0',
  randomNumber: 'abs(random() % 9007199254740992)',
  numberInTransactions: () => [],
  trigger({ name, after, table, when, statements }) {
    const condition = when === undefined ? '' : ` when ${when}`;
    const body = statements.map((statement) => `${statement};`).join(' ');
    return [`create trigger ${name} after ${after} on ${table}${condition} begin ${body} end`];
  },
  dropTrigger: ({ name }) => [`drop trigger ${name}`],
};

/**
 * Brings the schema up to date: every migration that has not run yet, each in its own transaction together with the
 * schema's new number (SQLite's user_version).
 */
export function migrate(database: Database, steps: readonly Migration[] = migrations): void {
  const current = database.query<{ user_version: number }, []>('pragma user_version').get()?.user_version ?? 0;
  const newest = steps.at(-1)?.number ?? 0;
  if (current > newest) throw new NewerSchemaError(current, newest);
  for (const step of steps) {
    if (step.number <= current) continue;
    database.transaction(() => {
      for (const statement of step.statements(definitionDialect)) database.run(statement);
      database.run(`pragma user_version = ${step.number}`);
    })();
  }
}

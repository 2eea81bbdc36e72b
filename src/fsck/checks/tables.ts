import type { Check, Checked } from '../check.ts';
import type { Finding } from '../finding.ts';

/** How many of its problems a damaged table tells. */
const toldProblems = 10;

/** F0: SQLite finds its own tables and indexes in order. */
export function tablesCheck({ records }: Checked): Check<string> {
  const tables = records
    .all<{ name: string }>(
      `select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name`,
    )
    .map(({ name }) => name);
  return {
    name: 'tables',
    keysAfter: (after) => tables.slice(after === undefined ? 0 : tables.indexOf(after) + 1).slice(0, 1),
    look: (table) =>
      records
        .all<{ integrity_check: string }>(`pragma integrity_check('${table}')`)
        .slice(0, toldProblems)
        .filter((row) => row.integrity_check !== 'ok')
        .map((row): Finding => {
          const advice = 'stop the server and put a backup of the database in place';
          return { code: 'F0', severity: 'loss', about: `table ${table}`, message: row.integrity_check, advice };
        }),
  };
}

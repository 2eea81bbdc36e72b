import type { Check, Checked } from '../check.ts';
import type { Finding } from '../finding.ts';
import type { Records } from '../records.ts';

/** How many of its problems a damaged table tells. */
const toldProblems = 10;

/** What a database says of its own tables. */
interface TableProblems {
  /** The names of all tables, in their order. */
  readonly tables: string;
  /** What is wrong with the table of a name: a text in each row. */
  readonly problemsOf: (records: Records, table: string) => Promise<readonly string[]>;
  readonly advice: string;
}

const ofSqlite: TableProblems = {
  tables: `select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name`,
  problemsOf: async (records, table) => {
    const rows = await records.all<{ integrity_check: string }>(`pragma integrity_check('${table}')`);
    return rows.map((row) => row.integrity_check).filter((text) => text !== 'ok');
  },
  advice: 'stop the server and put a backup of the database in place',
};

/**
 * PostgreSQL looks after its own pages (`data_checksums`, `pg_amcheck`). What it does not say by itself is that a rule of
 * the tables is not in force: an index that was left unfinished, a constraint that was never validated, a trigger that
 * somebody has switched off.
 */
const ofPostgres: TableProblems = {
  tables: `select relname as name from pg_class
    where relnamespace = current_schema()::regnamespace and relkind = 'r' order by relname`,
  problemsOf: async (records, table) => {
    const rows = await records.all<{ problem: string }>(
      `with looked as (select oid from pg_class where relnamespace = current_schema()::regnamespace and relname = ?)
       select 'its index ' || index.relname || ' is not valid' as problem
         from looked join pg_index on indrelid = looked.oid join pg_class index on index.oid = indexrelid
         where not indisvalid or not indisready
       union all
       select 'its constraint ' || conname || ' is not validated'
         from looked join pg_constraint on conrelid = looked.oid where not convalidated
       union all
       select 'its trigger ' || tgname || ' is switched off'
         from looked join pg_trigger on tgrelid = looked.oid where tgenabled in ('D', 'R')
       order by problem`,
      table,
    );
    return rows.map(({ problem }) => problem);
  },
  advice: 'put the rule in force again (reindex, validate constraint, enable trigger), or restore the database',
};

/** F0: the database finds its own tables and indexes in order. */
export function tablesCheck({ records }: Checked): Check<string> {
  const { tables, problemsOf, advice } = records.database === 'sqlite' ? ofSqlite : ofPostgres;
  return {
    name: 'tables',
    keysAfter: async (after) => {
      const names = (await records.all<{ name: string }>(tables)).map(({ name }) => name);
      return names.slice(after === undefined ? 0 : names.indexOf(after) + 1).slice(0, 1);
    },
    look: async (table) => {
      const problems = await problemsOf(records, table);
      return problems
        .slice(0, toldProblems)
        .map((message): Finding => ({ code: 'F0', severity: 'loss', about: `table ${table}`, message, advice }));
    },
  };
}

import { z } from 'zod';

/** Where `npm run test:scale` has a PostgreSQL running, with a database that has the newest schema to be copied. */
const server = process.env['TEST_POSTGRES'];
export const templateDatabase = 'wherry_template';

const databases = new Map<string, string>();
let made = 0;

/**
 * The database that a registry has whose data directory this is; undefined where tests run on SQLite. Each directory has one
 * of its own, which is made when it is asked for first.
 */
export function databaseOf(directory: string): string | undefined {
  if (server === undefined) return undefined;
  const known = databases.get(directory);
  if (known !== undefined) return known;
  const name = `test_${process.pid}_${++made}`;
  psql(`${server}/postgres`, `create database ${name} template ${templateDatabase}`);
  const url = `${server}/${name}`;
  databases.set(directory, url);
  return url;
}

/** What a query with `?` for its parameters finds in such a database, as SQLite would give it. */
export function rowsIn<Row>(database: string, sql: string, parameters: readonly unknown[]): Row[] {
  let next = 0;
  const filled = sql.replaceAll('?', () => literal(parameters[next++]));
  return z
    .array(z.custom<Row>())
    .parse(JSON.parse(psql(database, `select coalesce(json_agg(found), '[]') from (${filled}) as found`)));
}

function literal(value: unknown): string {
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  return JSON.stringify(value);
}

function psql(database: string, sql: string): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync([
    'psql',
    '-X',
    '-q',
    '-A',
    '-t',
    '-v',
    'ON_ERROR_STOP=1',
    '-c',
    sql,
    database,
  ]);
  if (exitCode !== 0) throw new Error(`${sql}: ${stderr.toString()}`);
  return stdout.toString();
}

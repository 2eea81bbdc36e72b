import { sql } from 'kysely';
import type { Dialect } from '../dialect.ts';

/** Lists travel as text[]. */
export const postgresDialect: Dialect = {
  name: 'postgres',
  isOneOf: (column, list) => sql`${column} = any(${list}::text[])`,
  rowsOf: (list) => sql`(select unnest(${list}::text[]) as value)`,
  greatest: (a, b) => sql`greatest(${a}, ${b})`,
  least: (a, b) => sql`least(${a}, ${b})`,
};

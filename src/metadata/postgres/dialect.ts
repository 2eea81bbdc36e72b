import { sql } from 'kysely';
import type { Dialect } from '../dialect.ts';

/** Lists travel as text[]. */
export const postgresDialect: Dialect = {
  name: 'postgres',
  isOneOf: (column, list) => sql`${column} = any(${list}::text[])`,
  // Ordered and compared as the columns are.
  rowsOf: (list) => sql`(select listed collate "C" as value from unnest(${list}::text[]) as listed)`,
  skippingLocked: (rows) => rows.forUpdate().skipLocked(),
  greatest: (a, b) => sql`greatest(${a}, ${b})`,
  least: (a, b) => sql`least(${a}, ${b})`,
};

import { sql } from 'kysely';
import type { Dialect } from '../dialect.ts';

/** Lists travel as text[]. */
export const postgresDialect: Dialect = {
  name: 'postgres',
  isOneOf: (column, list) => sql`${column} = any(${list}::text[])`,
  // Ordered and compared as the columns are.
  rowsOf: (list) => sql`(select listed collate "C" as value from unnest(${list}::text[]) as listed)`,
  // Where PostgreSQL believes a table to be all but empty it would run the query for each row again, and lock others each time.
  skippingLocked: (rows) =>
    sql`(with unlocked as materialized ${rows.forUpdate().skipLocked()} select * from unlocked)`,
  lockingManifests: (rows) => sql`(with locked as materialized ${rows.forUpdate('manifest')} select * from locked)`,
  greatest: (a, b) => sql`greatest(${a}, ${b})`,
  least: (a, b) => sql`least(${a}, ${b})`,
};

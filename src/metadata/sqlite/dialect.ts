import { sql } from 'kysely';
import type { Dialect } from '../dialect.ts';

/** Lists travel as JSON text. */
export const sqliteDialect: Dialect = {
  name: 'sqlite',
  isOneOf: (column, list) => sql`${column} in (select value from json_each(${list}))`,
  rowsOf: (list) => sql`json_each(${list})`,
  // One transaction at a time writes.
  skippingLocked: (rows) => rows,
  lockingManifests: (rows) => rows,
  greatest: (a, b) => sql`max(${a}, ${b})`,
  least: (a, b) => sql`min(${a}, ${b})`,
};

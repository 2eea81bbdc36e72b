import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/**
 * The incarnation of the database, to stand in a query: as long as it is the same, nothing was lost that was committed under
 * it. NULL where none has begun since something may have been.
 */
export function incarnationOf(db: Pick<Kysely<Schema>, 'selectFrom'>) {
  return db.selectFrom('incarnation').select('incarnation.id').where('incarnation.name', '=', 'database');
}

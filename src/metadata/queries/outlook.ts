import { sql } from 'kysely';
import { query } from '../query.ts';

/** The reviews that are due by a time, after one of them, in the order in which they are due. */
export const reviewsDueBy = query<{
  by: number;
  after: number;
  kind: string;
  key1: string;
  key2: string;
  limit: number;
}>()(({ db, p }) =>
  db
    .selectFrom('task')
    .select(['kind', 'key1', 'key2', 'due_at'])
    .where('due_at', '<=', p('by'))
    .where(
      ({ ref }) =>
        sql<boolean>`(${ref('due_at')}, ${ref('kind')}, ${ref('key1')}, ${ref('key2')}) > (${p('after')}, ${p('kind')}, ${p('key1')}, ${p('key2')})`,
    )
    .orderBy('due_at')
    .orderBy('kind')
    .orderBy('key1')
    .orderBy('key2')
    .limit(p('limit')),
);

/** Objects after one of them, and how many repositories link each; none link one that is not live. */
export const linkCountsAfter = query<{ after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('object')
    .select(['oid', 'size_bytes'])
    .select(({ selectFrom }) =>
      selectFrom('link')
        .select(({ fn }) => fn.countAll<number>().as('links'))
        .whereRef('link.digest', '=', 'object.live_digest')
        .as('links'),
    )
    .where('oid', '>', p('after'))
    .orderBy('oid')
    .limit(p('limit')),
);

/** The last that was told of the bounds of storage, the newest first. */
export const storageEvents = query<{ actor: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('event')
    .select(['at', 'kind', 'reason', 'bytes'])
    .where('repo', 'is', null)
    .where('tag', 'is', null)
    .where('digest', 'is', null)
    .where('actor', '=', p('actor'))
    .orderBy('id', 'desc')
    .limit(p('limit')),
);

/** Objects of the queue after one of them: all that are condemned or dead, and some that are about to be. */
export const leavingObjectsAfter = query<{ after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('task')
    .innerJoin('object', 'object.oid', 'task.key1')
    .select(['object.oid', 'object.state', 'object.size_bytes', 'object.due_at'])
    .where('task.kind', '=', 'object')
    .where('task.key1', '>', p('after'))
    .orderBy('task.key1')
    .limit(p('limit')),
);

import type { Digest } from '../../oci/digest.ts';
import { query } from '../query.ts';

/** The reviews that are due by a time, after one of them, in the order in which they are due. */
export const reviewsDueBy = query<{
  by: number;
  after: number;
  kind: string;
  key1: string;
  key2: string;
  limit: number;
}>()(({ db, p, dialect }) =>
  db
    .selectFrom('task')
    .select(['kind', 'key1', 'key2', 'due_at'])
    .where('due_at', '<=', p('by'))
    .where(dialect.isAfter(['due_at', 'kind', 'key1', 'key2'], [p('after'), p('kind'), p('key1'), p('key2')]))
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

/** Any repository that links a blob. */
export const anyLink = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('link').select('repo').where('digest', '=', p('digest')).limit(1),
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

import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { EventKind } from '../schema.ts';

export const insertEvent = query<{
  at: number;
  kind: EventKind;
  repo: RepositoryName | null;
  digest: Digest | null;
  tag: TagName | null;
  actor: string;
  reason: string | null;
  bytes: number | null;
}>()(({ db, p }) =>
  db.insertInto('event').values({
    at: p('at'),
    kind: p('kind'),
    repo: p('repo'),
    digest: p('digest'),
    tag: p('tag'),
    actor: p('actor'),
    reason: p('reason'),
    bytes: p('bytes'),
  }),
);

/** What happened to a digest in any repository, the newest first. */
export const eventsOfDigest = query<{ digest: Digest; limit: number }>()(({ db, p }) =>
  db.selectFrom('event').selectAll().where('digest', '=', p('digest')).orderBy('id', 'desc').limit(p('limit')),
);

/** What happened to a tag, the newest first. */
export const eventsOfTag = query<{ repo: RepositoryName; tag: TagName; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('event')
    .selectAll()
    .where('repo', '=', p('repo'))
    .where('tag', '=', p('tag'))
    .orderBy('id', 'desc')
    .limit(p('limit')),
);

/** What happened to a repository as a whole, the newest first. */
export const eventsOfRepository = query<{ repo: RepositoryName; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('event')
    .selectAll()
    .where('repo', '=', p('repo'))
    .where('tag', 'is', null)
    .where('digest', 'is', null)
    .orderBy('id', 'desc')
    .limit(p('limit')),
);

/** Of the first `limit` events, removes those from before `before`: they are numbered in the order of their time. */
export const deleteOldEvents = query<{ before: number; limit: number }>()(({ db, p }) =>
  db.deleteFrom('event').where('id', 'in', ({ selectFrom }) =>
    selectFrom(selectFrom('event').select(['id', 'at']).orderBy('id').limit(p('limit')).as('oldest'))
      .select('oldest.id')
      .where('oldest.at', '<', p('before')),
  ),
);

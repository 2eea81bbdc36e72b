import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { EventKind } from '../schema.ts';

const columns = [
  'id',
  'at',
  'kind',
  'repo',
  'digest',
  'tag',
  'actor',
  'reason',
  'bytes',
  'identity',
  'address',
  'request_id',
  'user_agent',
  'result',
] as const;

export const insertEvent = query<{
  at: number;
  kind: EventKind;
  repo: RepositoryName | null;
  digest: Digest | null;
  tag: TagName | null;
  actor: string;
  reason: string | null;
  bytes: number | null;
  identity: string | null;
  address: string | null;
  requestId: string | null;
  userAgent: string | null;
  result: 'done' | 'refused';
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
    identity: p('identity'),
    address: p('address'),
    request_id: p('requestId'),
    user_agent: p('userAgent'),
    result: p('result'),
  }),
);

/** What happened to a digest in any repository, the newest first. */
export const eventsOfDigest = query<{ digest: Digest; limit: number }>()(({ db, p }) =>
  db.selectFrom('event').select(columns).where('digest', '=', p('digest')).orderBy('id', 'desc').limit(p('limit')),
);

/** What happened to a tag, the newest first. */
export const eventsOfTag = query<{ repo: RepositoryName; tag: TagName; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('event')
    .select(columns)
    .where('repo', '=', p('repo'))
    .where('tag', '=', p('tag'))
    .orderBy('id', 'desc')
    .limit(p('limit')),
);

/** What happened to a repository as a whole, the newest first. */
export const eventsOfRepository = query<{ repo: RepositoryName; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('event')
    .select(columns)
    .where('repo', '=', p('repo'))
    .where('tag', 'is', null)
    .where('digest', 'is', null)
    .orderBy('id', 'desc')
    .limit(p('limit')),
);

/** What happened at `at` or later, the oldest first, after the event `id` of that time. */
export const eventsFrom = query<{ at: number; id: number; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('event')
    .select(columns)
    .where(({ eb, refTuple, tuple }) => eb(refTuple('at', 'id'), '>', tuple(p('at'), p('id'))))
    .orderBy('at')
    .orderBy('id')
    .limit(p('limit')),
);

/** What happened at `at` or earlier, the newest first, before the event `id` of that time. */
export const eventsUntil = query<{ at: number; id: number; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('event')
    .select(columns)
    .where(({ eb, refTuple, tuple }) => eb(refTuple('at', 'id'), '<', tuple(p('at'), p('id'))))
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(p('limit')),
);

/** What was written down after an event, up to another one, in the order of their numbers. */
export const eventsAfter = query<{ id: number; upTo: number; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('event')
    .select(columns)
    .where('id', '>', p('id'))
    .where('id', '<=', p('upTo'))
    .orderBy('id')
    .limit(p('limit')),
);

/** The last event, in the order in which they were committed. */
export const lastEvent = query<object>()(({ db }) =>
  db.selectFrom('event').select('id').orderBy('id', 'desc').limit(1),
);

export const firstEvent = query<object>()(({ db }) => db.selectFrom('event').select('id').orderBy('id').limit(1));

/** Removes events from before `before`, the oldest first. The last one stays, so that its number is not given again. */
export const deleteOldEvents = query<{ before: number; limit: number }>()(({ db, p }) =>
  db.deleteFrom('event').where('id', 'in', ({ selectFrom }) =>
    selectFrom('event')
      .select('id')
      .where('at', '<', p('before'))
      .where('id', '<', ({ selectFrom: from }) => from('event').select(({ fn }) => fn.max('id').as('last')))
      .orderBy('at')
      .orderBy('id')
      .limit(p('limit')),
  ),
);

import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { QuotaPhase } from '../schema.ts';

// `scope` is whose usage is meant: empty for a quota's repositories together, else the repository (QuotaUsageTable).

/** How a quota stands, and what is known of a content in it and of its link. */
export const quotaAndBlob = query<{
  number: number;
  scope: RepositoryName | '';
  repo: RepositoryName;
  digest: Digest;
}>()(({ db, p }) =>
  db
    .selectFrom('quota')
    .leftJoin('quota_usage as usage', (join) =>
      join.onRef('usage.quota', '=', 'quota.number').on('usage.repo', '=', p('scope')),
    )
    .leftJoin('quota_blob as blob', (join) =>
      join
        .onRef('blob.quota', '=', 'quota.number')
        .on('blob.repo', '=', p('scope'))
        .on('blob.digest', '=', p('digest')),
    )
    .leftJoin('link', (join) => join.on('link.repo', '=', p('repo')).on('link.digest', '=', p('digest')))
    .select([
      'quota.number',
      'quota.phase',
      'quota.cursor_repo',
      'quota.cursor_item',
      'usage.bytes',
      'usage.tags',
      'usage.refused_bytes',
      'usage.refused_tags',
      'blob.links',
      'link.digest as linked',
    ])
    .where('quota.number', '=', p('number')),
);

/** How a quota stands. */
export const quotaStanding = query<{ number: number; scope: RepositoryName | '' }>()(({ db, p }) =>
  db
    .selectFrom('quota')
    .leftJoin('quota_usage as usage', (join) =>
      join.onRef('usage.quota', '=', 'quota.number').on('usage.repo', '=', p('scope')),
    )
    .select([
      'quota.number',
      'quota.phase',
      'quota.cursor_repo',
      'quota.cursor_item',
      'usage.bytes',
      'usage.tags',
      'usage.refused_bytes',
      'usage.refused_tags',
    ])
    .where('quota.number', '=', p('number')),
);

/** One more repository of a quota links a content. @returns how many do */
export const addQuotaLink = query<{ quota: number; scope: RepositoryName | ''; digest: Digest; size: number }>()(
  ({ db, p }) =>
    db
      .insertInto('quota_blob')
      .values({ quota: p('quota'), repo: p('scope'), digest: p('digest'), size_bytes: p('size'), links: 1 })
      .onConflict((conflict) =>
        conflict
          .columns(['quota', 'repo', 'digest'])
          .doUpdateSet(({ eb }) => ({ links: eb('quota_blob.links', '+', 1) })),
      )
      .returning('links'),
);

/** One repository less of a quota links a content. @returns how many still do, and the size with which it has counted */
export const removeQuotaLink = query<{ quota: number; scope: RepositoryName | ''; digest: Digest }>()(({ db, p }) =>
  db
    .updateTable('quota_blob')
    .set(({ eb }) => ({ links: eb('links', '-', 1) }))
    .where('quota', '=', p('quota'))
    .where('repo', '=', p('scope'))
    .where('digest', '=', p('digest'))
    .returning(['links', 'size_bytes']),
);

export const deleteQuotaBlob = query<{ quota: number; scope: RepositoryName | ''; digest: Digest }>()(({ db, p }) =>
  db
    .deleteFrom('quota_blob')
    .where('quota', '=', p('quota'))
    .where('repo', '=', p('scope'))
    .where('digest', '=', p('digest')),
);

/** Adds to what is counted. */
export const addQuotaUsage = query<{ quota: number; scope: RepositoryName | ''; bytes: number; tags: number }>()(
  ({ db, p }) =>
    db
      .insertInto('quota_usage')
      .values({ quota: p('quota'), repo: p('scope'), bytes: p('bytes'), tags: p('tags') })
      .onConflict((conflict) =>
        conflict.columns(['quota', 'repo']).doUpdateSet(({ eb, ref }) => ({
          bytes: eb('quota_usage.bytes', '+', ref('excluded.bytes')),
          tags: eb('quota_usage.tags', '+', ref('excluded.tags')),
        })),
      ),
);

/** Takes bytes away from what is counted: there is room again, so the next refusal is news. */
export const takeQuotaBytes = query<{ quota: number; scope: RepositoryName | ''; bytes: number }>()(({ db, p }) =>
  db
    .updateTable('quota_usage')
    .set(({ eb }) => ({ bytes: eb('bytes', '-', p('bytes')), refused_bytes: null }))
    .where('quota', '=', p('quota'))
    .where('repo', '=', p('scope')),
);

/** Takes tags away from what is counted. */
export const takeQuotaTags = query<{ quota: number; scope: RepositoryName | ''; tags: number }>()(({ db, p }) =>
  db
    .updateTable('quota_usage')
    .set(({ eb }) => ({ tags: eb('tags', '-', p('tags')), refused_tags: null }))
    .where('quota', '=', p('quota'))
    .where('repo', '=', p('scope')),
);

/** A repository that has nothing that counts is not known to a quota for each. */
export const deleteQuotaUsage = query<{
  quota: number;
  scope: RepositoryName | '';
  bytes: number;
  tags: number;
}>()(({ db, p }) =>
  db
    .deleteFrom('quota_usage')
    .where('quota', '=', p('quota'))
    .where('repo', '=', p('scope'))
    .where('bytes', '=', p('bytes'))
    .where('tags', '=', p('tags')),
);

/** Remembers that something was refused for its bytes, or for its tags: the first time of each. */
export const markQuotaRefused = query<{
  quota: number;
  scope: RepositoryName | '';
  bytes: number;
  tags: number;
  refusedBytes: number | null;
  refusedTags: number | null;
}>()(({ db, p }) =>
  db
    .insertInto('quota_usage')
    .values({
      quota: p('quota'),
      repo: p('scope'),
      bytes: p('bytes'),
      tags: p('tags'),
      refused_bytes: p('refusedBytes'),
      refused_tags: p('refusedTags'),
    })
    .onConflict((conflict) =>
      conflict.columns(['quota', 'repo']).doUpdateSet(({ ref, fn }) => ({
        refused_bytes: fn.coalesce(ref('quota_usage.refused_bytes'), ref('excluded.refused_bytes')),
        refused_tags: fn.coalesce(ref('quota_usage.refused_tags'), ref('excluded.refused_tags')),
      })),
    ),
);

/** Every quota that is in force, in their order. */
export const quotasInForce = query<Record<never, never>>()(({ db }) =>
  db
    .selectFrom('quota')
    .select(['number', 'position', 'repositories_hash', 'settings', 'phase', 'cursor_repo', 'cursor_item'])
    .where('position', 'is not', null)
    .orderBy('position'),
);

/** The number of the set of quotas in force. */
export const quotaRevision = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('quota_set').select('revision').where('name', '=', 'registry'),
);

/** A count, by its number. */
export const quotaByNumber = query<{ number: number }>()(({ db, p }) =>
  db.selectFrom('quota').select(['position', 'repositories_hash', 'settings']).where('number', '=', p('number')),
);

export const insertQuota = query<{ position: number; hash: string; settings: string }>()(({ db, p }) =>
  db.insertInto('quota').values({
    position: p('position'),
    repositories_hash: p('hash'),
    settings: p('settings'),
    phase: 'links',
  }),
);

/** A count goes on counting, as that of the quota that stands there now. */
export const placeQuota = query<{ number: number; position: number; settings: string; phase: QuotaPhase }>()(
  ({ db, p }) =>
    db
      .updateTable('quota')
      .set({ position: p('position'), settings: p('settings'), phase: p('phase') })
      .where('number', '=', p('number')),
);

/** A count ends; what it has counted is to be cleared away. */
export const retireQuota = query<{ number: number }>()(({ db, p }) =>
  db.updateTable('quota').set({ position: null, phase: 'stale' }).where('number', '=', p('number')),
);

/** How far a count has come. */
export const moveQuotaCursor = query<{ number: number; phase: QuotaPhase; repo: string; item: string }>()(({ db, p }) =>
  db
    .updateTable('quota')
    .set({ phase: p('phase'), cursor_repo: p('repo'), cursor_item: p('item') })
    .where('number', '=', p('number')),
);

/** Counts the tags of a repository after one of them, and says which is the last. */
export const countTagsAfter = query<{ repo: RepositoryName; after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom(
      db
        .selectFrom('tag')
        .select('name')
        .where('repo', '=', p('repo'))
        .where(({ eb, ref }) => eb(ref('name').$castTo<string>(), '>', p('after')))
        .orderBy('name')
        .limit(p('limit'))
        .as('some'),
    )
    .select(({ fn }) => [fn.countAll<number>().as('count'), fn.max('some.name').as('last')]),
);

/** Any count that has ended. */
export const anyStaleQuota = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('quota').select('number').where('position', 'is', null).limit(1),
);

/** Clears some of what a count that has ended had counted. */
export const clearQuotaBlobs = query<{ quota: number; limit: number }>()(({ db, p }) =>
  db
    .deleteFrom('quota_blob')
    .where('quota', '=', p('quota'))
    .where(
      ({ refTuple, selectFrom }) =>
        sql<boolean>`${refTuple('repo', 'digest')} in ${selectFrom('quota_blob as some')
          .select(['some.repo', 'some.digest'])
          .where('some.quota', '=', p('quota'))
          .limit(p('limit'))}`,
    ),
);

export const clearQuotaUsage = query<{ quota: number; limit: number }>()(({ db, p }) =>
  db
    .deleteFrom('quota_usage')
    .where('quota', '=', p('quota'))
    .where('repo', 'in', ({ selectFrom }) =>
      selectFrom('quota_usage as some').select('some.repo').where('some.quota', '=', p('quota')).limit(p('limit')),
    ),
);

export const deleteQuota = query<{ number: number }>()(({ db, p }) =>
  db.deleteFrom('quota').where('number', '=', p('number')).where('position', 'is', null),
);

/** What is counted for all of a quota's repositories together. */
export const quotaUsage = query<{ quota: number }>()(({ db, p }) =>
  db.selectFrom('quota_usage').select(['bytes', 'tags']).where('quota', '=', p('quota')).where('repo', '=', ''),
);

/** What is counted for each of a quota's repositories after one of them. */
export const quotaUsagesAfter = query<{ quota: number; after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('quota_usage')
    .select(['repo', 'bytes', 'tags'])
    .where('quota', '=', p('quota'))
    .where(({ eb, ref }) => eb(ref('repo').$castTo<string>(), '>', p('after')))
    .orderBy('repo')
    .limit(p('limit')),
);

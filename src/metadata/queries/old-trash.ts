import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';

/** Deleted and moved tags after one of them, in the order in which their time ends; with the lease of what they led to. */
export const trashedTagsByEnd = query<{ until: number; repo: string; name: string; manifest: string; limit: number }>()(
  ({ db, p }) =>
    db
      .selectFrom('tag_trash')
      .innerJoin('manifest', (join) =>
        join.onRef('manifest.repo', '=', 'tag_trash.repo').onRef('manifest.digest', '=', 'tag_trash.manifest'),
      )
      .select([
        'tag_trash.repo',
        'tag_trash.name',
        'tag_trash.manifest',
        'tag_trash.trashed_at',
        'tag_trash.purge_after',
        'manifest.state',
        'manifest.lease_until',
      ])
      .where(
        ({ ref }) =>
          sql<boolean>`(${ref('purge_after')}, ${ref('tag_trash.repo')}, ${ref('tag_trash.name')}, ${ref('tag_trash.manifest')}) > (${p('until')}, ${p('repo')}, ${p('name')}, ${p('manifest')})`,
      )
      .orderBy('tag_trash.purge_after')
      .orderBy('tag_trash.repo')
      .orderBy('tag_trash.name')
      .orderBy('tag_trash.manifest')
      .limit(p('limit')),
);

/** Deleted manifests after one of them, in the order in which their time ends. */
export const trashedManifestsByEnd = query<{ until: number; repo: string; digest: string; limit: number }>()(
  ({ db, p }) =>
    db
      .selectFrom('manifest')
      .select(['repo', 'digest', 'trash_until', 'size_bytes', 'media_type'])
      .where('trash_until', 'is not', null)
      .where(
        ({ ref }) =>
          sql<boolean>`(${ref('trash_until')}, ${ref('repo')}, ${ref('digest')}) > (${p('until')}, ${p('repo')}, ${p('digest')})`,
      )
      .orderBy('trash_until')
      .orderBy('repo')
      .orderBy('digest')
      .limit(p('limit')),
);

/** How many things are in the trash, up to a limit. */
export const countTrashedTags = query<{ limit: number }>()(({ db, p }) =>
  db
    .selectFrom(db.selectFrom('tag_trash').select('purge_after').orderBy('purge_after').limit(p('limit')).as('some'))
    .select(({ fn }) => fn.countAll<number>().as('count')),
);

export const countTrashedManifests = query<{ limit: number }>()(({ db, p }) =>
  db
    .selectFrom(
      db
        .selectFrom('manifest')
        .select('trash_until')
        .where('trash_until', 'is not', null)
        .orderBy('trash_until')
        .limit(p('limit'))
        .as('some'),
    )
    .select(({ fn }) => fn.countAll<number>().as('count')),
);

/** Some of the manifests of a repository, visible or in the trash, that hold a blob. */
export const someHoldersOfBlob = query<{ repo: RepositoryName; digest: Digest; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('manifest_blob')
    .select('manifest')
    .where('repo', '=', p('repo'))
    .where('link_digest', '=', p('digest'))
    .limit(p('limit')),
);

/** Some of the repositories that link a blob. */
export const someLinksOf = query<{ digest: Digest; limit: number }>()(({ db, p }) =>
  db.selectFrom('link').select('repo').where('digest', '=', p('digest')).limit(p('limit')),
);

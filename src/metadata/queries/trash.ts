import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';

const columns = ['repo', 'name', 'manifest', 'trashed_at', 'purge_after'] as const;

/** All that a deleted or moved tag led to. */
export const trashedTag = query<{ repo: RepositoryName; name: TagName }>()(({ db, p }) =>
  db
    .selectFrom('tag_trash')
    .select(columns)
    .where('repo', '=', p('repo'))
    .where('name', '=', p('name'))
    .orderBy('manifest'),
);

/** A deleted manifest. */
export const trashedManifest = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select(['repo', 'digest', 'trash_until', 'size_bytes', 'media_type'])
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest'))
    .where('trash_until', 'is not', null),
);

/** Deleted and moved tags after one of them, by repository, name and what they led to. */
export const trashedTagsAfter = query<{ repo: string; name: string; manifest: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('tag_trash')
    .select(columns)
    .where(
      ({ ref }) =>
        sql<boolean>`(${ref('repo')}, ${ref('name')}, ${ref('manifest')}) > (${p('repo')}, ${p('name')}, ${p('manifest')})`,
    )
    .orderBy('repo')
    .orderBy('name')
    .orderBy('manifest')
    .limit(p('limit')),
);

/** Deleted manifests after one of them, by repository and digest. */
export const trashedManifestsAfter = query<{ repo: string; digest: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select(['repo', 'digest', 'trash_until', 'size_bytes', 'media_type'])
    .where('trash_until', 'is not', null)
    .where(({ ref }) => sql<boolean>`(${ref('repo')}, ${ref('digest')}) > (${p('repo')}, ${p('digest')})`)
    .orderBy('repo')
    .orderBy('digest')
    .limit(p('limit')),
);

/**
 * A manifest lives again, for a lease at least, and counts as one that has never had a tag: whoever brought it back may
 * give it one.
 */
export const reviveManifest = query<{ repo: RepositoryName; digest: Digest; leaseUntil: number }>()(
  ({ db, p, dialect }) =>
    db
      .updateTable('manifest')
      .set(({ ref }) => ({
        state: 'live',
        trash_until: null,
        released_at: null,
        tagged_at: null,
        lease_until: dialect.greatest(ref('lease_until'), p('leaseUntil')),
      }))
      .where('repo', '=', p('repo'))
      .where('digest', '=', p('digest')),
);

/** The blobs that a manifest holds are visible again, where a client deleted them while it was in the trash. */
export const showBlobsOf = query<{ repo: RepositoryName; manifest: Digest }>()(({ db, p }) =>
  db
    .updateTable('link')
    .set({ deleted_at: null })
    .where('repo', '=', p('repo'))
    .where('deleted_at', 'is not', null)
    .where('digest', 'in', ({ selectFrom }) =>
      selectFrom('manifest_blob')
        .select('manifest_blob.digest')
        .where('manifest_blob.repo', '=', p('repo'))
        .where('manifest_blob.manifest', '=', p('manifest'))
        .where('manifest_blob.link_digest', 'is not', null),
    ),
);

/** Ends the trash window of a manifest. */
export const endManifestTrash = query<{ repo: RepositoryName; digest: Digest; now: number }>()(({ db, p, dialect }) =>
  db
    .updateTable('manifest')
    .set(({ ref }) => ({ trash_until: dialect.least(ref('trash_until'), p('now')) }))
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest'))
    .where('trash_until', 'is not', null),
);

/** Ends the trash window of what a tag led to. */
export const endTagTrash = query<{ repo: RepositoryName; name: TagName; manifest: Digest; now: number }>()(
  ({ db, p, dialect }) =>
    db
      .updateTable('tag_trash')
      .set(({ ref }) => ({ purge_after: dialect.least(ref('purge_after'), p('now')) }))
      .where('repo', '=', p('repo'))
      .where('name', '=', p('name'))
      .where('manifest', '=', p('manifest')),
);

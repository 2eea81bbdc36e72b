import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';

/** The visible blob of a repository and the file that holds it. */
export const visibleBlob = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('link')
    .innerJoin('object', 'object.live_digest', 'link.digest')
    .select(['object.oid', 'object.size_bytes', 'link.lease_until'])
    .where('link.repo', '=', p('repo'))
    .where('link.digest', '=', p('digest'))
    .where('link.deleted_at', 'is', null),
);

/** Repositories in which the blob is visible: for a mount that names no source. */
export const visibleLinks = query<{ digest: Digest; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('link')
    .select('repo')
    .where('digest', '=', p('digest'))
    .where('deleted_at', 'is', null)
    .limit(p('limit')),
);

/** The same of those with names between two, which are not reached. */
export const visibleLinksBetween = query<{ digest: Digest; last: string; before: string; limit: number }>()(
  ({ db, p }) =>
    db
      .selectFrom('link')
      .select('repo')
      .where('digest', '=', p('digest'))
      .where(({ eb, ref }) => eb(ref('repo').$castTo<string>(), '>', p('last')))
      .where(({ eb, ref }) => eb(ref('repo').$castTo<string>(), '<', p('before')))
      .where('deleted_at', 'is', null)
      .limit(p('limit')),
);

/** Makes a blob visible in a repository, and protects it until `leaseUntil` at least. */
export const upsertLink = query<{ repo: RepositoryName; digest: Digest; leaseUntil: number; now: number }>()(
  ({ db, p, dialect }) =>
    db
      .insertInto('link')
      .values({ repo: p('repo'), digest: p('digest'), lease_until: p('leaseUntil'), created_at: p('now') })
      .onConflict((conflict) =>
        conflict.columns(['repo', 'digest']).doUpdateSet(({ ref }) => ({
          lease_until: dialect.greatest(ref('link.lease_until'), p('leaseUntil')),
          deleted_at: null,
        })),
      ),
);

/** Renews the lease of a visible blob; 0 rows where it is gone. */
export const renewLinkLease = query<{ repo: RepositoryName; digest: Digest; leaseUntil: number }>()(
  ({ db, p, dialect }) =>
    db
      .updateTable('link')
      .set(({ ref }) => ({ lease_until: dialect.greatest(ref('lease_until'), p('leaseUntil')) }))
      .where('repo', '=', p('repo'))
      .where('digest', '=', p('digest'))
      .where('deleted_at', 'is', null),
);

/** Which of some blobs are visible in a repository, and what their files hold. */
export const visibleAmong = query<{ repo: RepositoryName; digests: readonly Digest[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('link')
    .select('digest')
    .select(({ selectFrom }) =>
      selectFrom('object')
        .select('object.size_bytes')
        .whereRef('object.live_digest', '=', 'link.digest')
        .as('size_bytes'),
    )
    .where('repo', '=', p('repo'))
    .where('deleted_at', 'is', null)
    .where(({ ref }) => dialect.isOneOf(ref('digest'), p('digests')))
    .orderBy('digest'),
);

/** Hides a blob from clients and ends its lease; what is in the trash may still hold it. */
export const hideLink = query<{ repo: RepositoryName; digest: Digest; now: number }>()(({ db, p }) =>
  db
    .updateTable('link')
    .set({ deleted_at: p('now'), lease_until: p('now') })
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest'))
    .where('deleted_at', 'is', null),
);

/** The blob has come: references to it that were absent until now hold it from here on (R20), as large as it is. */
export const attachAbsentBlobEdges = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .updateTable('manifest_blob')
    .set(({ fn, ref, selectFrom }) => ({
      link_digest: p('digest'),
      size_bytes: fn.coalesce(
        selectFrom('object').select('object.size_bytes').where('object.live_digest', '=', p('digest')),
        ref('manifest_blob.size_bytes'),
      ),
    }))
    .where('digest', '=', p('digest'))
    .where('repo', '=', p('repo'))
    .where('link_digest', 'is', null),
);

/** A link, visible or hidden. */
export const linkLease = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('link')
    .select(['lease_until', 'deleted_at'])
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest')),
);

import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';

// What the collector removes. Each statement names one thing that nothing holds any more; foreign keys refuse the others.

/** The manifests that an index lists and that are here. */
export const presentChildrenOf = query<{ repo: RepositoryName; parent: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_child')
    .select('child')
    .where('repo', '=', p('repo'))
    .where('parent', '=', p('parent'))
    .where('present_child', 'is not', null)
    .orderBy('child'),
);

/** The blobs that a manifest holds. */
export const heldBlobsOf = query<{ repo: RepositoryName; manifest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_blob')
    .select(['digest', 'size_bytes'])
    .where('repo', '=', p('repo'))
    .where('manifest', '=', p('manifest'))
    .where('link_digest', 'is not', null)
    .orderBy('digest'),
);

/** The manifests, visible or in the trash, whose subject is a manifest. */
export const allReferrersOf = query<{ repo: RepositoryName; subject: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select('digest')
    .where('repo', '=', p('repo'))
    .where('subject', '=', p('subject'))
    .orderBy('digest'),
);

/**
 * Something that held a manifest is gone: from here on it does not count as one that was never held, and stays for a
 * lease at least.
 */
export const releaseManifest = query<{
  repo: RepositoryName;
  digest: Digest;
  now: number;
  leaseUntil: number;
}>()(({ db, p, dialect }) =>
  db
    .updateTable('manifest')
    .set(({ ref }) => ({
      released_at: p('now'),
      lease_until: dialect.greatest(ref('lease_until'), p('leaseUntil')),
    }))
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest')),
);

export const deleteBlobEdgesOf = query<{ repo: RepositoryName; manifest: Digest }>()(({ db, p }) =>
  db.deleteFrom('manifest_blob').where('repo', '=', p('repo')).where('manifest', '=', p('manifest')),
);

export const deleteChildEdgesOf = query<{ repo: RepositoryName; parent: Digest }>()(({ db, p }) =>
  db.deleteFrom('manifest_child').where('repo', '=', p('repo')).where('parent', '=', p('parent')),
);

/** Tags in the trash that point at a manifest. */
export const trashedTagsOf = query<{ repo: RepositoryName; manifest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('tag_trash')
    .select(['repo', 'name', 'manifest', 'trashed_at', 'purge_after'])
    .where('repo', '=', p('repo'))
    .where('manifest', '=', p('manifest')),
);

export const deleteTrashedTag = query<{ repo: RepositoryName; name: TagName; manifest: Digest }>()(({ db, p }) =>
  db
    .deleteFrom('tag_trash')
    .where('repo', '=', p('repo'))
    .where('name', '=', p('name'))
    .where('manifest', '=', p('manifest')),
);

export const deleteManifest = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db.deleteFrom('manifest').where('repo', '=', p('repo')).where('digest', '=', p('digest')),
);

export const deleteLink = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db.deleteFrom('link').where('repo', '=', p('repo')).where('digest', '=', p('digest')),
);

/** Nothing is left in a repository, so that it need not be known any more. */
export const deleteEmptyRepository = query<{ repo: RepositoryName }>()(({ db, p }) =>
  db
    .deleteFrom('repository')
    .where('name', '=', p('repo'))
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('link').select('link.digest').where('link.repo', '=', p('repo')))),
    )
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('manifest').select('manifest.digest').where('manifest.repo', '=', p('repo')))),
    ),
);

import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';

/** Of a manifest, visible or in the trash, all that decides how long it stays by itself. */
export const manifestTimes = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select([
      'media_type',
      'artifact_type',
      'state',
      'subject',
      'trash_until',
      'lease_until',
      'tagged_at',
      'released_at',
      'pushed_at',
      'last_pulled_at',
      'size_bytes',
    ])
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest')),
);

/** Any tag that points at a manifest. */
export const anyTagOf = query<{ repo: RepositoryName; manifest: Digest }>()(({ db, p }) =>
  db.selectFrom('tag').select('name').where('repo', '=', p('repo')).where('manifest', '=', p('manifest')).limit(1),
);

/** Until when deleted or moved tags keep what they pointed at; NULL where none does. */
export const latestTrashedTagOf = query<{ repo: RepositoryName; manifest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('tag_trash')
    .select(({ fn }) => fn.max('purge_after').as('purge_after'))
    .where('repo', '=', p('repo'))
    .where('manifest', '=', p('manifest')),
);

/** The indexes that list a manifest, visible or in the trash. */
export const parentsOf = query<{ repo: RepositoryName; child: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_child')
    .select('parent')
    .where('repo', '=', p('repo'))
    .where('present_child', '=', p('child'))
    .orderBy('parent'),
);

/** The indexes that list a manifest which was not there, or in the trash, when they were pushed. */
export const parentsLacking = query<{ repo: RepositoryName; child: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_child')
    .select('parent')
    .where('repo', '=', p('repo'))
    .where('child', '=', p('child'))
    .where('present_child', 'is', null)
    .orderBy('parent'),
);

/** Any manifest, visible or in the trash, that needs a blob. */
export const anyManifestOfBlob = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_blob')
    .select('manifest')
    .where('repo', '=', p('repo'))
    .where('link_digest', '=', p('digest'))
    .limit(1),
);

/** Any link to a blob. */
export const anyLinkOf = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('link').select('repo').where('digest', '=', p('digest')).limit(1),
);

/** An open upload that had begun at a time. */
export const anyUploadBegunBy = query<{ repo: RepositoryName; at: number }>()(({ db, p }) =>
  db
    .selectFrom('upload')
    .select('id')
    .where('repo', '=', p('repo'))
    .where('oid', 'is not', null)
    .where('opened_at', '<=', p('at'))
    .limit(1),
);

/** An upload that had begun at a time, and has ended well after another one. */
export const anyUploadEndedSince = query<{ repo: RepositoryName; at: number; since: number }>()(({ db, p }) =>
  db
    .selectFrom('upload')
    .select('touched_at')
    .where('repo', '=', p('repo'))
    .where('oid', 'is', null)
    .where('touched_at', '>', p('since'))
    .where('opened_at', '<=', p('at'))
    .limit(1),
);

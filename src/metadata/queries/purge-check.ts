import type { Digest } from '../../oci/digest.ts';
import { query } from '../query.ts';

// Looks for what a purge has taken away: each query one table, and the first row that it finds.

export const anyLiveObjectOf = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('object').select('oid').where('live_digest', '=', p('digest')).limit(1),
);

/** One that was removed, and is kept until it has been removed once more, is no row that says that it is here. */
export const anyLeavingObjectOf = query<{ digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('object')
    .select('oid')
    .where('digest', '=', p('digest'))
    .where('live_digest', 'is', null)
    .where(({ eb, or }) => or([eb('state', '<>', 'dead'), eb('due_at', 'is', null)]))
    .limit(1),
);

export const anyEdgeTo = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('manifest_blob').select(['repo', 'manifest']).where('link_digest', '=', p('digest')).limit(1),
);

export const anyAbsentEdgeTo = query<{ digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_blob')
    .select(['repo', 'manifest'])
    .where('digest', '=', p('digest'))
    .where('link_digest', 'is', null)
    .limit(1),
);

export const anyIndexListing = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('manifest_child').select(['repo', 'parent']).where('present_child', '=', p('digest')).limit(1),
);

export const anyIndexLacking = query<{ digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_child')
    .select(['repo', 'parent'])
    .where('child', '=', p('digest'))
    .where('present_child', 'is', null)
    .limit(1),
);

export const anyTagTo = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('tag').select(['repo', 'name']).where('manifest', '=', p('digest')).limit(1),
);

/** An upload that has ended, and says that it brought it. */
export const anyUploadOf = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('upload').select(['repo', 'id']).where('result_digest', '=', p('digest')).limit(1),
);

export const anyTrashedTagTo = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('tag_trash').select(['repo', 'name']).where('manifest', '=', p('digest')).limit(1),
);

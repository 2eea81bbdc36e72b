import type { Digest } from '../../oci/digest.ts';
import { query } from '../query.ts';

/** The live objects after one of them, in the order of their digests: each digest has one. */
export const liveObjectsAfter = query<{ after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('object')
    .select(['oid', 'live_digest', 'size_bytes'])
    .where(({ eb, ref }) => eb(ref('live_digest').$castTo<string>(), '>', p('after')))
    .orderBy('live_digest')
    .limit(p('limit')),
);

/** Some of the manifests, in any repository, visible or in the trash, that need a blob. */
export const manifestsNeedingBlob = query<{ digest: Digest; limit: number }>()(({ db, p }) =>
  db.selectFrom('manifest_blob').select(['repo', 'manifest']).where('link_digest', '=', p('digest')).limit(p('limit')),
);

/** How many of them there are. */
export const countManifestsNeedingBlob = query<{ digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_blob')
    .select(({ fn }) => fn.countAll<number>().as('manifests'))
    .where('link_digest', '=', p('digest')),
);

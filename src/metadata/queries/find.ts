import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
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

interface SomeOfManifest {
  repo: RepositoryName;
  manifest: Digest;
  limit: number;
}

/** Some of the tags that lead to a manifest. */
export const someTagsOf = query<SomeOfManifest>()(({ db, p }) =>
  db
    .selectFrom('tag')
    .select('name')
    .where('repo', '=', p('repo'))
    .where('manifest', '=', p('manifest'))
    .limit(p('limit')),
);

/** Some of the tags in the trash that led to a manifest. */
export const someTrashedTagsOf = query<SomeOfManifest>()(({ db, p }) =>
  db
    .selectFrom('tag_trash')
    .select('name')
    .where('repo', '=', p('repo'))
    .where('manifest', '=', p('manifest'))
    .limit(p('limit')),
);

/** Some of the indexes, visible or in the trash, that list a manifest. */
export const someParentsOf = query<SomeOfManifest>()(({ db, p }) =>
  db
    .selectFrom('manifest_child')
    .select('parent')
    .where('repo', '=', p('repo'))
    .where('present_child', '=', p('manifest'))
    .orderBy('parent')
    .limit(p('limit')),
);

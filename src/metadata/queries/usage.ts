import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';

/** Every tag that points at a manifest. */
export const tagsOf = query<{ repo: RepositoryName; manifest: Digest }>()(({ db, p }) =>
  db.selectFrom('tag').select('name').where('repo', '=', p('repo')).where('manifest', '=', p('manifest')),
);

/** Every manifest of a repository, visible or in the trash, that needs a blob. */
export const manifestsOfBlob = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_blob')
    .select('manifest')
    .where('repo', '=', p('repo'))
    .where('link_digest', '=', p('digest')),
);

/** Every repository that links a blob. */
export const linksOf = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('link').select(['repo', 'lease_until', 'deleted_at']).where('digest', '=', p('digest')).orderBy('repo'),
);

/** The blobs of a repository after one of them, with their sizes. */
export const linkedBlobsAfter = query<{ repo: RepositoryName; after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('link')
    .innerJoin('object', 'object.live_digest', 'link.digest')
    .select(['link.digest', 'object.size_bytes'])
    .where('link.repo', '=', p('repo'))
    .where(({ eb, ref }) => eb(ref('link.digest').$castTo<string>(), '>', p('after')))
    .orderBy('link.digest')
    .limit(p('limit')),
);

/** Objects after one of them. */
export const objectsAfter = query<{ after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('object')
    .select(['oid', 'digest', 'state', 'size_bytes'])
    .where('oid', '>', p('after'))
    .orderBy('oid')
    .limit(p('limit')),
);

/** The live object of a digest. */
export const objectsOfDigest = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('object').select(['oid', 'state', 'size_bytes', 'due_at']).where('live_digest', '=', p('digest')),
);

/** Objects of the queue that a digest had, and that are still on the disk: they are few, and stand in the queue. */
export const leavingObjectsOfDigest = query<{ digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('task')
    .innerJoin('object', 'object.oid', 'task.key1')
    .select(['object.oid', 'object.state', 'object.size_bytes', 'object.due_at'])
    .where('task.kind', '=', 'object')
    .where('object.digest', '=', p('digest'))
    .where('object.live_digest', 'is', null),
);

/** The repositories after one of them, in byte order. */
export const repositoriesAfter = query<{ after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('repository')
    .select('name')
    .where(({ eb, ref }) => eb(ref('name').$castTo<string>(), '>', p('after')))
    .orderBy('name')
    .limit(p('limit')),
);

/** Which of some repositories have a manifest, visible or in the trash. */
export const manifestAmong = query<{ digest: Digest; repos: readonly RepositoryName[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('manifest')
    .select('repo')
    .where('digest', '=', p('digest'))
    .where(({ ref }) => dialect.isOneOf(ref('repo'), p('repos')))
    .orderBy('repo'),
);

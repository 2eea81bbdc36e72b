import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';

// What retention knows a repository by, in pages: all of its tags, manifests and edges, but no manifest's bytes.

export const tagClocksAfter = query<{ repo: RepositoryName; after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('tag')
    .select(['name', 'manifest', 'moved_at', 'pushed_at', 'touched_at', 'last_pulled_at'])
    .where('repo', '=', p('repo'))
    .where(({ eb, ref }) => eb(ref('name').$castTo<string>(), '>', p('after')))
    .orderBy('name')
    .limit(p('limit')),
);

/** Visible manifests, and those in the trash. */
export const manifestClocksAfter = query<{ repo: RepositoryName; after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select([
      'digest',
      'media_type',
      'artifact_type',
      'subject',
      'state',
      'lease_until',
      'pushed_at',
      'tagged_at',
      'last_pulled_at',
      'released_at',
      'size_bytes',
    ])
    .where('repo', '=', p('repo'))
    .where(({ eb, ref }) => eb(ref('digest').$castTo<string>(), '>', p('after')))
    .orderBy('digest')
    .limit(p('limit')),
);

/** Which blobs the manifests hold, and what the files of those hold. */
export const heldBlobsAfter = query<{ repo: RepositoryName; manifest: string; digest: string; limit: number }>()(
  ({ db, p }) =>
    db
      .selectFrom('manifest_blob')
      .select(['manifest', 'digest', 'size_bytes'])
      .where('repo', '=', p('repo'))
      .where('link_digest', 'is not', null)
      .where(({ ref }) => sql<boolean>`(${ref('manifest')}, ${ref('digest')}) > (${p('manifest')}, ${p('digest')})`)
      .orderBy('manifest')
      .orderBy('digest')
      .limit(p('limit')),
);

/** What the indexes list, as far as it is here. */
export const presentChildrenAfter = query<{ repo: RepositoryName; parent: string; child: string; limit: number }>()(
  ({ db, p }) =>
    db
      .selectFrom('manifest_child')
      .select(['parent', 'child'])
      .where('repo', '=', p('repo'))
      .where('present_child', 'is not', null)
      .where(({ ref }) => sql<boolean>`(${ref('parent')}, ${ref('child')}) > (${p('parent')}, ${p('child')})`)
      .orderBy('parent')
      .orderBy('child')
      .limit(p('limit')),
);

/** What is pinned in a repository, and the repository itself. */
export const pinsOfRepository = query<{ repo: RepositoryName }>()(({ db, p }) =>
  db.selectFrom('pin').select(['kind', 'name']).where('repo', '=', p('repo')),
);

/** The other repositories that link some blobs. */
export const linksElsewhere = query<{ repo: RepositoryName; digests: readonly Digest[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('link')
    .select(['digest', 'repo'])
    .where(({ ref }) => dialect.isOneOf(ref('digest'), p('digests')))
    .where('repo', '<>', p('repo')),
);

/** Of all links from a text on, in the order of their digests, the one after so many others. */
export const linkAfterOthers = query<{ from: string; others: number }>()(({ db, p }) =>
  db
    .selectFrom('link')
    .select('digest')
    .where(({ eb, ref }) => eb(ref('digest').$castTo<string>(), '>=', p('from')))
    .orderBy('digest')
    .limit(1)
    .offset(p('others')),
);

/** Which blobs several repositories link, of those whose digests lie between two texts. */
export const linkedBySeveral = query<{ from: string; until: string }>()(({ db, p }) =>
  db
    .selectFrom('link')
    .select('digest')
    .where(({ eb, ref }) => eb(ref('digest').$castTo<string>(), '>=', p('from')))
    .where(({ eb, ref }) => eb(ref('digest').$castTo<string>(), '<', p('until')))
    .groupBy('digest')
    .having(({ eb, fn }) => eb(fn.countAll<number>(), '>', 1)),
);

/** Some manifests as they were pushed. */
export const manifestBytesAmong = query<{ repo: RepositoryName; digests: readonly Digest[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('manifest')
    .select(['digest', 'media_type', 'bytes'])
    .where('repo', '=', p('repo'))
    .where(({ ref }) => dialect.isOneOf(ref('digest'), p('digests'))),
);

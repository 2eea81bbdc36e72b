import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';

// What a purge would find, a page at a time: nothing is written.

/** The repositories that link a blob after one of them. */
export const linksAfter = query<{ digest: Digest; after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('link')
    .select('repo')
    .where('digest', '=', p('digest'))
    .where(({ eb, ref }) => eb(ref('repo').$castTo<string>(), '>', p('after')))
    .orderBy('repo')
    .limit(p('limit')),
);

/** The manifests that hold a blob after one of them, by repository and digest. */
export const manifestsHoldingAfter = query<{ digest: Digest; repo: string; manifest: string; limit: number }>()(
  ({ db, p }) =>
    db
      .selectFrom('manifest_blob')
      .select(['repo', 'manifest'])
      .where('link_digest', '=', p('digest'))
      .where(({ ref }) => sql<boolean>`(${ref('repo')}, ${ref('manifest')}) > (${p('repo')}, ${p('manifest')})`)
      .orderBy('repo')
      .orderBy('manifest')
      .limit(p('limit')),
);

/** The manifests that need a blob which is absent, after one of them. */
export const manifestsLackingAfter = query<{ digest: Digest; repo: string; manifest: string; limit: number }>()(
  ({ db, p }) =>
    db
      .selectFrom('manifest_blob')
      .select(['repo', 'manifest'])
      .where('digest', '=', p('digest'))
      .where('link_digest', 'is', null)
      .where(({ ref }) => sql<boolean>`(${ref('repo')}, ${ref('manifest')}) > (${p('repo')}, ${p('manifest')})`)
      .orderBy('repo')
      .orderBy('manifest')
      .limit(p('limit')),
);

/** The indexes that list a manifest which is absent. */
export const indexesLacking = query<{ child: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest_child')
    .select(['repo', 'parent as manifest'])
    .where('child', '=', p('child'))
    .where('present_child', 'is', null),
);

/** The manifests, visible or in the trash, that have a digest as their subject. */
export const referrersAmong = query<{ subject: Digest; repos: readonly RepositoryName[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('manifest')
    .select(['repo', 'digest'])
    .where('subject', '=', p('subject'))
    .where(({ ref }) => dialect.isOneOf(ref('repo'), p('repos')))
    .orderBy('repo')
    .orderBy('digest'),
);

/** What a manifest says, visible or in the trash. */
export const manifestText = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select(['media_type', 'bytes'])
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest')),
);

/** A manifest as a plan shows it. */
export const plannedManifest = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select(['kind', 'state', 'size_bytes', 'last_pulled_at'])
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest')),
);

/** Uploads under way after one of them, by their objects. */
export const uploadsUnderWayAfter = query<{ after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('upload')
    .select(['id', 'repo', 'oid', 'offset_bytes'])
    .where('oid', 'is not', null)
    .where(({ eb, ref }) => eb(ref('oid').$castTo<string>(), '>', p('after')))
    .orderBy('oid')
    .limit(p('limit')),
);

/** A manifest that holds a blob and is none of some: another image, for which the blob is shared. */
export const otherManifestHolding = query<{ digest: Digest; images: readonly Digest[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('manifest_blob')
    .select(['repo', 'manifest'])
    .where('link_digest', '=', p('digest'))
    .where(({ not, ref }) => not(dialect.isOneOf(ref('manifest'), p('images'))))
    .limit(1),
);

/** The same of one that it lacks: it could not be made whole any more. */
export const otherManifestLacking = query<{ digest: Digest; images: readonly Digest[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('manifest_blob')
    .select(['repo', 'manifest'])
    .where('digest', '=', p('digest'))
    .where('link_digest', 'is', null)
    .where(({ not, ref }) => not(dialect.isOneOf(ref('manifest'), p('images'))))
    .limit(1),
);

/** An index that lists a manifest and is none of some: for it the manifest is shared. */
export const otherIndexListing = query<{ digest: Digest; images: readonly Digest[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('manifest_child')
    .select(['repo', 'parent'])
    .where('present_child', '=', p('digest'))
    .where(({ not, ref }) => not(dialect.isOneOf(ref('parent'), p('images'))))
    .limit(1),
);

/** The same of one that it lacks. */
export const otherIndexLacking = query<{ digest: Digest; images: readonly Digest[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('manifest_child')
    .select(['repo', 'parent'])
    .where('child', '=', p('digest'))
    .where('present_child', 'is', null)
    .where(({ not, ref }) => not(dialect.isOneOf(ref('parent'), p('images'))))
    .limit(1),
);

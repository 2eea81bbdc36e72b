import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';

export const manifestByDigest = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select(['digest', 'media_type', 'bytes'])
    .where('repo', '=', p('repo'))
    .where('live_digest', '=', p('digest')),
);

/** By a subquery: the driver spends as long again on a join. */
export const manifestByTag = query<{ repo: RepositoryName; tag: TagName }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select(['digest', 'media_type', 'bytes'])
    .where('repo', '=', p('repo'))
    .where('live_digest', '=', ({ selectFrom }) =>
      selectFrom('tag').select('tag.manifest').where('tag.repo', '=', p('repo')).where('tag.name', '=', p('tag')),
    ),
);

/** What a HEAD answers, and how far its lease reaches. */
export const manifestHeadByDigest = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select(['digest', 'media_type', 'size_bytes', 'lease_until'])
    .where('repo', '=', p('repo'))
    .where('live_digest', '=', p('digest')),
);

export const manifestHeadByTag = query<{ repo: RepositoryName; tag: TagName }>()(({ db, p }) =>
  db
    .selectFrom('tag')
    .innerJoin('manifest', (join) =>
      join.onRef('manifest.repo', '=', 'tag.repo').onRef('manifest.live_digest', '=', 'tag.manifest'),
    )
    .select(['manifest.digest', 'manifest.media_type', 'manifest.size_bytes', 'manifest.lease_until', 'tag.touched_at'])
    .where('tag.repo', '=', p('repo'))
    .where('tag.name', '=', p('tag')),
);

export const renewManifestLease = query<{ repo: RepositoryName; digest: Digest; leaseUntil: number }>()(
  ({ db, p, dialect }) =>
    db
      .updateTable('manifest')
      .set(({ ref }) => ({ lease_until: dialect.greatest(ref('lease_until'), p('leaseUntil')) }))
      .where('repo', '=', p('repo'))
      .where('live_digest', '=', p('digest')),
);

/** A manifest comes, comes again, or comes back from the trash. */
export const upsertManifest = query<{
  repo: RepositoryName;
  digest: Digest;
  mediaType: string;
  kind: 'image' | 'index';
  artifactType: string | null;
  annotations: string | null;
  subject: Digest | null;
  leaseUntil: number;
  now: number;
  size: number;
  bytes: Uint8Array;
}>()(({ db, p, dialect }) =>
  db
    .insertInto('manifest')
    .values({
      repo: p('repo'),
      digest: p('digest'),
      media_type: p('mediaType'),
      kind: p('kind'),
      artifact_type: p('artifactType'),
      annotations: p('annotations'),
      subject: p('subject'),
      state: 'live',
      lease_until: p('leaseUntil'),
      pushed_at: p('now'),
      size_bytes: p('size'),
      bytes: p('bytes'),
    })
    .onConflict((conflict) =>
      conflict.columns(['repo', 'digest']).doUpdateSet(({ ref }) => ({
        state: 'live',
        trash_until: null,
        released_at: null,
        pushed_at: p('now'),
        lease_until: dialect.greatest(ref('manifest.lease_until'), p('leaseUntil')),
        media_type: p('mediaType'),
      })),
    ),
);

export const liveManifestsAmong = query<{ repo: RepositoryName; digests: readonly Digest[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('manifest')
    .select('digest')
    .where('repo', '=', p('repo'))
    .where('state', '=', 'live')
    .where(({ ref }) => dialect.isOneOf(ref('digest'), p('digests')))
    .orderBy('digest'),
);

/**
 * Every edge, every time the manifest comes: a retry after a crash must find nothing half-written (R19). Whether it holds
 * its content is what the push has just seen, also where an earlier push saw it otherwise.
 *
 * @param size of the content's file where it holds it; else what the manifest says
 */
export const upsertBlobEdge = query<{
  repo: RepositoryName;
  manifest: Digest;
  digest: Digest;
  size: number;
  linkDigest: Digest | null;
}>()(({ db, p }) =>
  db
    .insertInto('manifest_blob')
    .values({
      repo: p('repo'),
      manifest: p('manifest'),
      digest: p('digest'),
      size_bytes: p('size'),
      link_digest: p('linkDigest'),
    })
    .onConflict((conflict) =>
      conflict
        .columns(['repo', 'manifest', 'digest'])
        .doUpdateSet({ link_digest: p('linkDigest'), size_bytes: p('size') }),
    ),
);

export const upsertChildEdge = query<{
  repo: RepositoryName;
  parent: Digest;
  child: Digest;
  presentChild: Digest | null;
}>()(({ db, p }) =>
  db
    .insertInto('manifest_child')
    .values({ repo: p('repo'), parent: p('parent'), child: p('child'), present_child: p('presentChild') })
    .onConflict((conflict) =>
      conflict.columns(['repo', 'parent', 'child']).doUpdateSet({ present_child: p('presentChild') }),
    ),
);

/** The manifest has come: indexes that listed it while it was absent hold it from here on (R20). */
export const attachAbsentChildEdges = query<{ repo: RepositoryName; child: Digest }>()(({ db, p }) =>
  db
    .updateTable('manifest_child')
    .set({ present_child: p('child') })
    .where('repo', '=', p('repo'))
    .where('child', '=', p('child'))
    .where('present_child', 'is', null),
);

/** The visible manifests that need a blob: some of them, to name in a refusal. */
export const visibleManifestsOfBlob = query<{ repo: RepositoryName; digest: Digest; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('manifest_blob')
    .innerJoin('manifest', (join) =>
      join.onRef('manifest.repo', '=', 'manifest_blob.repo').onRef('manifest.digest', '=', 'manifest_blob.manifest'),
    )
    .select('manifest.digest')
    .where('manifest_blob.repo', '=', p('repo'))
    .where('manifest_blob.link_digest', '=', p('digest'))
    .where('manifest.state', '=', 'live')
    .limit(p('limit')),
);

/** The visible indexes that list a manifest: some of them, to name in a refusal. */
export const visibleParents = query<{ repo: RepositoryName; child: Digest; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('manifest_child')
    .innerJoin('manifest', (join) =>
      join.onRef('manifest.repo', '=', 'manifest_child.repo').onRef('manifest.digest', '=', 'manifest_child.parent'),
    )
    .select('manifest.digest')
    .where('manifest_child.repo', '=', p('repo'))
    .where('manifest_child.present_child', '=', p('child'))
    .where('manifest.state', '=', 'live')
    .limit(p('limit')),
);

export const trashManifest = query<{ repo: RepositoryName; digest: Digest; trashUntil: number }>()(({ db, p }) =>
  db
    .updateTable('manifest')
    .set({ state: 'trashed', trash_until: p('trashUntil') })
    .where('repo', '=', p('repo'))
    .where('live_digest', '=', p('digest')),
);

/** Referrers of a subject after `last`, in the order of their digests. */
export const referrersOf = query<{
  repo: RepositoryName;
  subject: Digest;
  artifactType: string | null;
  last: string;
  limit: number;
}>()(({ db, p }) =>
  db
    .selectFrom('manifest')
    .select(['digest', 'media_type', 'artifact_type', 'annotations', 'size_bytes'])
    .where('repo', '=', p('repo'))
    .where('subject', '=', p('subject'))
    .where(({ eb, ref }) => eb(ref('digest').$castTo<string>(), '>', p('last')))
    .where('state', '=', 'live')
    .where(({ or, eb }) =>
      or([
        eb(eb.cast<string | null>(p('artifactType'), 'text'), 'is', null),
        eb('artifact_type', '=', p('artifactType')),
      ]),
    )
    .orderBy('digest')
    .limit(p('limit')),
);

export const recordManifestPull = query<{ repo: RepositoryName; digest: Digest; at: number }>()(({ db, p, dialect }) =>
  db
    .updateTable('manifest')
    .set(({ ref, fn }) => ({
      last_pulled_at: dialect.greatest(fn.coalesce(ref('last_pulled_at'), p('at')), p('at')),
    }))
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest')),
);

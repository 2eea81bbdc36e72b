import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';

// What a purge keeps out: it must not come again unless it is pushed or restored on purpose.

/** Which purge has taken a manifest; undefined where it may be pushed, or is here. */
export const quarantineOfManifest = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('purge_place')
    .innerJoin('purge', 'purge.id', 'purge_place.purge')
    .select(['purge.id', 'purge.at', 'purge.reason'])
    .where('quarantined_repo', '=', p('repo'))
    .where('name', '=', '')
    .where('digest', '=', p('digest'))
    .limit(1),
);

/** The same of what a tag led to. */
export const quarantineOfTag = query<{ repo: RepositoryName; tag: TagName }>()(({ db, p }) =>
  db
    .selectFrom('purge_place')
    .innerJoin('purge', 'purge.id', 'purge_place.purge')
    .select(['purge.id', 'purge.at', 'purge.reason', 'purge_place.digest'])
    .where('quarantined_repo', '=', p('repo'))
    .where('name', '=', p('tag'))
    .limit(1),
);

/** A manifest has come again. */
export const releaseManifestFromQuarantine = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .updateTable('purge_place')
    .set({ quarantined_repo: null })
    .where('quarantined_repo', '=', p('repo'))
    .where('name', '=', '')
    .where('digest', '=', p('digest')),
);

/** A tag leads to something again. */
export const releaseTagFromQuarantine = query<{ repo: RepositoryName; tag: TagName }>()(({ db, p }) =>
  db
    .updateTable('purge_place')
    .set({ quarantined_repo: null })
    .where('quarantined_repo', '=', p('repo'))
    .where('name', '=', p('tag')),
);

/** Nothing keeps the content of a purge out any more. */
export const releaseAllFromQuarantine = query<{ purge: number }>()(({ db, p }) =>
  db
    .updateTable('purge_place')
    .set({ quarantined_repo: null })
    .where('purge', '=', p('purge'))
    .where('quarantined_repo', 'is not', null),
);

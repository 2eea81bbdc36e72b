import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { PinTable } from '../schema.ts';

const columns = ['pin.repo', 'pin.kind', 'pin.name', 'pin.reason', 'pin.pinned_by', 'pin.pinned_at'] as const;

/** Pins something, or gives another reason for its pin. */
export const upsertPin = query<{
  repo: RepositoryName;
  kind: PinTable['kind'];
  name: string;
  reason: string;
  pinnedBy: string;
  now: number;
}>()(({ db, p }) =>
  db
    .insertInto('pin')
    .values({
      repo: p('repo'),
      kind: p('kind'),
      name: p('name'),
      reason: p('reason'),
      pinned_by: p('pinnedBy'),
      pinned_at: p('now'),
    })
    .onConflict((conflict) =>
      conflict
        .columns(['repo', 'kind', 'name'])
        .doUpdateSet({ reason: p('reason'), pinned_by: p('pinnedBy'), pinned_at: p('now') }),
    ),
);

export const findPin = query<{ repo: RepositoryName; kind: PinTable['kind']; name: string }>()(({ db, p }) =>
  db
    .selectFrom('pin')
    .select(columns)
    .where('repo', '=', p('repo'))
    .where('kind', '=', p('kind'))
    .where('name', '=', p('name')),
);

export const deletePin = query<{ repo: RepositoryName; kind: PinTable['kind']; name: string }>()(({ db, p }) =>
  db.deleteFrom('pin').where('repo', '=', p('repo')).where('kind', '=', p('kind')).where('name', '=', p('name')),
);

/** A pin of a tag that points at a manifest. */
export const pinnedTagOf = query<{ repo: RepositoryName; manifest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('tag')
    .innerJoin('pin', (join) =>
      join.onRef('pin.repo', '=', 'tag.repo').on('pin.kind', '=', 'tag').onRef('pin.name', '=', 'tag.name'),
    )
    .select(columns)
    .where('tag.repo', '=', p('repo'))
    .where('tag.manifest', '=', p('manifest'))
    .limit(1),
);

/** The pins after one of them, by repository, kind and name. */
export const pinsAfter = query<{ repo: string; kind: string; name: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('pin')
    .select(columns)
    .where(
      ({ ref }) =>
        sql<boolean>`(${ref('repo')}, ${ref('kind')}, ${ref('name')}) > (${p('repo')}, ${p('kind')}, ${p('name')})`,
    )
    .orderBy('repo')
    .orderBy('kind')
    .orderBy('name')
    .limit(p('limit')),
);

/** Brings the reviews of a repository's manifests forward: of the first `limit` that wait, in the order of the queue's key. */
export const bringForwardManifests = query<{ repo: RepositoryName; dueAt: number; limit: number }>()(({ db, p }) =>
  db
    .updateTable('task')
    .set(({ eb }) => ({ due_at: p('dueAt'), version: eb('version', '+', 1) }))
    .where('kind', '=', 'manifest')
    .where('key1', '=', p('repo'))
    .where('due_at', '>', p('dueAt'))
    .where('key2', 'in', ({ selectFrom }) =>
      selectFrom('task as waiting')
        .select('waiting.key2')
        .where('waiting.kind', '=', 'manifest')
        .where('waiting.key1', '=', p('repo'))
        .orderBy('waiting.key2')
        .limit(p('limit')),
    ),
);

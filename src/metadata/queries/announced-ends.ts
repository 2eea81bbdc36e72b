import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';

/** The tags of a repository of which it was told that they are about to end, after one of them. */
export const announcedEndsAfter = query<{ repo: RepositoryName; after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('announced_end')
    .select(['name', 'ends_at'])
    .where('repo', '=', p('repo'))
    .where(({ eb, ref }) => eb(ref('name').$castTo<string>(), '>', p('after')))
    .orderBy('name')
    .limit(p('limit')),
);

export const upsertAnnouncedEnd = query<{ repo: RepositoryName; name: TagName; endsAt: number }>()(({ db, p }) =>
  db
    .insertInto('announced_end')
    .values({ repo: p('repo'), name: p('name'), ends_at: p('endsAt') })
    .onConflict((conflict) => conflict.columns(['repo', 'name']).doUpdateSet({ ends_at: p('endsAt') })),
);

export const deleteAnnouncedEnd = query<{ repo: RepositoryName; name: TagName }>()(({ db, p }) =>
  db.deleteFrom('announced_end').where('repo', '=', p('repo')).where('name', '=', p('name')),
);

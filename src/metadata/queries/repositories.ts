import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';

/** Makes the repository known. */
export const insertRepository = query<{ repo: RepositoryName; now: number }>()(({ db, p }) =>
  db
    .insertInto('repository')
    .values({ name: p('repo'), created_at: p('now') })
    .onConflict((conflict) => conflict.doNothing()),
);

export const findRepository = query<{ repo: RepositoryName }>()(({ db, p }) =>
  db.selectFrom('repository').select('name').where('name', '=', p('repo')),
);

/** Repositories after `last` and before `before`, in byte order, that a client can see something in. */
export const listRepositories = query<{ last: string; before: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('repository')
    .select('name')
    .where(({ eb, ref }) => eb(ref('name').$castTo<string>(), '>', p('last')))
    .where(({ eb, ref }) => eb(ref('name').$castTo<string>(), '<', p('before')))
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('manifest')
          .select('manifest.digest')
          .whereRef('manifest.repo', '=', 'repository.name')
          .where('manifest.live_digest', 'is not', null),
      ),
    )
    .orderBy('name')
    .limit(p('limit')),
);

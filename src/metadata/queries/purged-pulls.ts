import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';

// How often what a purge has taken was pulled.

/** How often a manifest was pulled on some days, by whatever name. */
export const pullsOnDays = query<{ repo: RepositoryName; digest: Digest; days: readonly string[] }>()(
  ({ db, p, dialect }) =>
    db
      .selectFrom(dialect.rowsOf(p('days')).as('wanted'))
      .innerJoin('pull_history', (join) =>
        join
          .on(({ eb, ref }) => eb(ref('pull_history.day'), '=', sql<number>`cast(${ref('wanted.value')} as bigint)`))
          .on('pull_history.repo', '=', p('repo'))
          .on('pull_history.digest', '=', p('digest')),
      )
      .select(({ fn }) => [fn.sum<number | null>('pulls').as('pulls'), fn.max('last_at').as('last_at')]),
);

/** A pull of a manifest, or of a tag, that was written down only when a purge had taken it. */
export const recordPurgedPull = query<{ repo: RepositoryName; digest: Digest; name: TagName | ''; at: number }>()(
  ({ db, p, dialect }) =>
    db
      .updateTable('purge_place')
      .set(({ ref, fn }) => ({
        last_pulled_at: dialect.greatest(fn.coalesce(ref('last_pulled_at'), p('at')), p('at')),
      }))
      .where('quarantined_repo', '=', p('repo'))
      .where('name', '=', p('name'))
      .where('digest', '=', p('digest')),
);

/** Writes down how often a manifest that was purged had been pulled. */
export const recordPlacePulls = query<{
  purge: number;
  repo: RepositoryName;
  digest: Digest;
  pulls: number;
  lastAt: number | null;
}>()(({ db, p }) =>
  db
    .updateTable('purge_place')
    .set(({ fn, ref }) => ({ pulls: p('pulls'), last_pulled_at: fn.coalesce(p('lastAt'), ref('last_pulled_at')) }))
    .where('purge', '=', p('purge'))
    .where('kind', '=', 'manifest')
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest'))
    .where('name', '=', ''),
);

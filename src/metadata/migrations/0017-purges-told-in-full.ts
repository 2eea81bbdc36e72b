import type { Migration } from './migration.ts';

/**
 * What a purge has to remember until it is finished, however often it is interrupted: how many downloads it has broken
 * off, why it is not finished yet, and of each object what came of overwriting it. Uploads that have ended are found by
 * what they brought. Pins of what purges have taken away, before they took the pins too, go.
 */
export const purgesToldInFull: Migration = {
  number: 17,
  name: 'purges told in full',
  statements: ({ integer, text }) => [
    `alter table purge add column responses_cut ${integer} not null default 0 check (responses_cut >= 0)`,
    `alter table purge add column waits_for ${text}`,

    `alter table purge_place add column shredded ${text} check (shredded in ('overwritten', 'gone', 'not-overwritten'))`,
    `alter table purge_place add column shredded_words ${text} check ((shredded is null) = (shredded_words is null))`,

    `create index upload_result on upload (result_digest) where result_digest is not null`,

    `delete from pin
      where kind = 'manifest'
        and exists (
          select 1 from purge_place
          where purge_place.quarantined_repo = pin.repo and purge_place.name = '' and purge_place.digest = pin.name
        )`,
    `delete from pin
      where kind = 'tag'
        and exists (
          select 1 from purge_place
          where purge_place.quarantined_repo = pin.repo and purge_place.name = pin.name
        )`,
  ],
};

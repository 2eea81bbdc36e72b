import type { Migration } from './migration.ts';

/**
 * What was purged: the record of each purge, kept for ever, with the digests that it keeps out and each place in which it
 * has found them. A place of which `quarantined_repo` is not NULL answers whoever pulls from it that it was purged.
 */
export const purges: Migration = {
  number: 16,
  name: 'purge',
  statements: ({ integer, clustered, identity, text }) => [
    `create table purge (
      id ${identity},
      at ${integer} not null,
      actor ${text} not null,
      reason ${text} not null,
      is_shredding ${integer} not null check (is_shredding in (0, 1)),
      removed_at ${integer},
      checked_at ${integer},
      result ${text},
      check (checked_at is null or removed_at is not null),
      check ((checked_at is null) = (result is null))
    )`,
    `create index purge_unfinished on purge (id) where checked_at is null`,

    `create table purge_digest (
      purge ${integer} not null references purge (id),
      digest ${text} not null,
      lifted_at ${integer},
      lifted_by ${text},
      lift_reason ${text},
      primary key (purge, digest),
      check ((lifted_at is null) = (lifted_by is null)),
      check ((lifted_at is null) = (lift_reason is null))
    ) ${clustered}`,
    `create index purge_digest_digest on purge_digest (digest)`,

    `create table purge_place (
      purge ${integer} not null references purge (id),
      kind ${text} not null check (kind in ('object', 'link', 'manifest', 'tag', 'trashed-tag', 'upload')),
      repo ${text} not null,
      digest ${text} not null,
      name ${text} not null,
      type ${text},
      state ${text},
      size_bytes ${integer} check (size_bytes >= 0),
      last_pulled_at ${integer},
      pulls ${integer},
      quarantined_repo ${text} check (quarantined_repo = repo),
      primary key (purge, kind, repo, digest, name)
    ) ${clustered}`,
    `create index purge_place_quarantined on purge_place (quarantined_repo, name, digest)
      where quarantined_repo is not null`,

    // Objects that had a digest and are about to go: few.
    `create index object_leaving on object (digest) where digest is not null and live_digest is null`,
  ],
};

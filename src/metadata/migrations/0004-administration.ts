import type { Migration } from './migration.ts';

/**
 * What an operator asks for: what happened to a blob, which is in no repository, and to a repository as a whole; what is
 * in the trash, without looking through what is not; and a collector that stays paused over a restart.
 */
export const administration: Migration = {
  number: 4,
  name: 'administration',
  statements: ({ integer, clustered, identity, text }) => [
    `create table event_next (
      id ${identity},
      at ${integer} not null,
      kind ${text} not null,
      repo ${text},
      digest ${text},
      tag ${text},
      actor ${text} not null,
      reason ${text},
      bytes ${integer}
    )`,
    `insert into event_next (id, at, kind, repo, digest, tag, actor, reason, bytes)
      select id, at, kind, repo, digest, tag, actor, reason, bytes from event`,
    `drop table event`,
    `alter table event_next rename to event`,
    `create index event_digest on event (digest, id) where digest is not null`,
    `create index event_tag on event (repo, tag, id) where tag is not null`,
    // A repository's own: those of its tags and manifests are found by them.
    `create index event_repository on event (repo, id) where tag is null and digest is null`,

    `create index manifest_trashed on manifest (repo, digest) where trash_until is not null`,

    `create table collector_pause (
      name ${text} not null primary key check (name = 'collector'),
      reason ${text} not null,
      paused_by ${text} not null,
      paused_at ${integer} not null
    ) ${clustered}`,
  ],
};

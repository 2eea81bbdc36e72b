import type { Migration } from './migration.ts';

/**
 * Indexes that a push has to write less of: open uploads by their object alone, and the edges to what is here and to
 * what is absent each for themselves, since next to nothing is absent.
 */
export const fewerPages: Migration = {
  number: 2,
  name: 'fewer pages',
  statements: ({ integer, clustered, text }) => [
    `create table upload_next (
      id ${text} not null primary key,
      repo ${text} not null,
      oid ${text} references object (oid),
      state ${text} not null check (state in ('open', 'done')),
      algorithm ${text} not null,
      offset_bytes ${integer} not null default 0 check (offset_bytes >= 0),
      epoch ${integer} not null default 0,
      opened_at ${integer} not null,
      touched_at ${integer} not null,
      result_digest ${text},
      check ((state = 'open') = (oid is not null)),
      check ((state = 'done') = (result_digest is not null))
    ) ${clustered}`,
    `insert into upload_next
      (id, repo, oid, state, algorithm, offset_bytes, epoch, opened_at, touched_at, result_digest)
      select id, repo, oid, state, algorithm, offset_bytes, epoch, opened_at, touched_at, result_digest from upload`,
    `drop table upload`,
    `alter table upload_next rename to upload`,
    `create unique index upload_object on upload (oid) where oid is not null`,

    `drop index manifest_blob_held`,
    `drop index manifest_blob_digest`,
    `create index manifest_blob_held on manifest_blob (link_digest, repo) where link_digest is not null`,
    `create index manifest_blob_absent on manifest_blob (digest) where link_digest is null`,

    `drop index manifest_child_child`,
    `drop index manifest_child_present`,
    `create index manifest_child_present on manifest_child (present_child, repo) where present_child is not null`,
    `create index manifest_child_absent on manifest_child (child) where present_child is null`,
  ],
};

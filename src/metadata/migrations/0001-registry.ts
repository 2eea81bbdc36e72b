import type { Migration } from './migration.ts';

/**
 * The tables of protocol.md, section 1. Three levels protect each other by foreign keys, so that a bug runs into a
 * constraint and not into somebody's image: a tag needs a live manifest (I6), a manifest's edge needs its link (I4) or
 * its child (I5), a link needs a live object (I3).
 */
export const registryTables: Migration = {
  number: 1,
  name: 'registry',
  statements: ({ bytes, integer, clustered, text }) => [
    `create table repository (
      name ${text} not null primary key,
      created_at ${integer} not null
    ) ${clustered}`,

    `create table object (
      oid ${text} not null primary key,
      digest ${text},
      size_bytes ${integer} not null default 0 check (size_bytes >= 0),
      state ${text} not null check (state in ('pending', 'live', 'condemned', 'dead')),
      due_at ${integer},
      live_digest ${text} generated always as (case when state = 'live' then digest end) stored unique,
      check (state not in ('live', 'condemned') or digest is not null)
    ) ${clustered}`,

    `create table upload (
      id ${text} not null primary key,
      repo ${text} not null,
      oid ${text} unique references object (oid),
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
    `create index upload_open on upload (repo, opened_at) where state = 'open'`,

    `create table link (
      repo ${text} not null references repository (name),
      digest ${text} not null references object (live_digest) deferrable initially deferred,
      lease_until ${integer} not null,
      created_at ${integer} not null,
      deleted_at ${integer},
      primary key (repo, digest)
    ) ${clustered}`,
    `create index link_digest on link (digest)`,

    `create table manifest (
      repo ${text} not null references repository (name),
      digest ${text} not null,
      media_type ${text} not null,
      kind ${text} not null check (kind in ('image', 'index')),
      artifact_type ${text},
      annotations ${text},
      subject ${text},
      state ${text} not null check (state in ('live', 'trashed')),
      trash_until ${integer},
      lease_until ${integer} not null,
      pushed_at ${integer} not null,
      tagged_at ${integer},
      last_pulled_at ${integer},
      size_bytes ${integer} not null check (size_bytes >= 0),
      live_digest ${text} generated always as (case when state = 'live' then digest end) stored,
      bytes ${bytes} not null,
      primary key (repo, digest),
      unique (repo, live_digest),
      check ((state = 'trashed') = (trash_until is not null)),
      check (length(bytes) = size_bytes)
    )`,
    `create index manifest_subject on manifest (repo, subject, digest) where subject is not null`,

    `create table manifest_blob (
      repo ${text} not null,
      manifest ${text} not null,
      digest ${text} not null,
      size_bytes ${integer} not null,
      link_digest ${text} check (link_digest = digest),
      primary key (repo, manifest, digest),
      foreign key (repo, manifest) references manifest (repo, digest),
      foreign key (repo, link_digest) references link (repo, digest)
    ) ${clustered}`,
    `create index manifest_blob_held on manifest_blob (repo, link_digest) where link_digest is not null`,
    `create index manifest_blob_digest on manifest_blob (digest)`,

    `create table manifest_child (
      repo ${text} not null,
      parent ${text} not null,
      child ${text} not null,
      present_child ${text} check (present_child = child),
      primary key (repo, parent, child),
      foreign key (repo, parent) references manifest (repo, digest),
      foreign key (repo, present_child) references manifest (repo, digest)
    ) ${clustered}`,
    `create index manifest_child_child on manifest_child (repo, child)`,
    `create index manifest_child_present on manifest_child (repo, present_child)`,

    `create table tag (
      repo ${text} not null,
      name ${text} not null,
      manifest ${text} not null,
      moved_at ${integer} not null,
      pushed_at ${integer} not null,
      touched_at ${integer} not null,
      last_pulled_at ${integer},
      primary key (repo, name),
      foreign key (repo, manifest) references manifest (repo, live_digest)
    ) ${clustered}`,
    `create index tag_manifest on tag (repo, manifest)`,

    `create table tag_trash (
      repo ${text} not null,
      name ${text} not null,
      manifest ${text} not null,
      trashed_at ${integer} not null,
      purge_after ${integer} not null,
      primary key (repo, name, manifest),
      foreign key (repo, manifest) references manifest (repo, digest)
    ) ${clustered}`,
    `create index tag_trash_manifest on tag_trash (repo, manifest)`,

    `create table blocked (
      digest ${text} not null primary key,
      blocked_at ${integer} not null,
      reason ${text} not null
    ) ${clustered}`,

    `create table task (
      kind ${text} not null check (kind in ('manifest', 'link', 'object', 'upload')),
      key1 ${text} not null,
      key2 ${text} not null default '',
      due_at ${integer} not null,
      version ${integer} not null default 0,
      attempts ${integer} not null default 0,
      claimed_until ${integer} not null default 0,
      primary key (kind, key1, key2)
    ) ${clustered}`,
    `create index task_due on task (due_at)`,
  ],
};

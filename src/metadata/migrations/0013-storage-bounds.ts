import type { DefinitionDialect, Migration } from './migration.ts';

/**
 * What the bounds of storage need to know without looking through anything: how much is stored, which the database
 * counts itself in the transaction that changes it, so that no operation and no crash can leave it wrong; what has been
 * in the trash the longest; and how much was stored before, for a forecast.
 */
export const storageBounds: Migration = {
  number: 13,
  name: 'storage bounds',
  statements: (dialect) => [
    // The bytes of pending objects are those of their uploads, as far as these have come.
    `create table stored (
      state ${dialect.text} not null primary key check (state in ('pending', 'live', 'condemned', 'dead')),
      objects ${dialect.integer} not null,
      bytes ${dialect.integer} not null
    ) ${dialect.clustered}`,
    `insert into stored (state, objects, bytes) values
      ('pending', 0, 0), ('live', 0, 0), ('condemned', 0, 0), ('dead', 0, 0)`,
    `update stored set
      objects = (select count(*) from object where object.state = stored.state),
      bytes = (select coalesce(sum(size_bytes), 0) from object where object.state = stored.state)`,
    `update stored set bytes = bytes + (select coalesce(sum(offset_bytes), 0) from upload where oid is not null)
      where state = 'pending'`,
    ...countObjects(dialect),
    ...countUploads(dialect),

    `create index manifest_trash_end on manifest (trash_until, repo, digest) where trash_until is not null`,
    `create index tag_trash_end on tag_trash (purge_after, repo, name, manifest)`,

    `create table storage_sample (
      at ${dialect.integer} not null primary key,
      stored_bytes ${dialect.integer} not null,
      disk_used_bytes ${dialect.integer} not null
    ) ${dialect.clustered}`,
  ],
};

const added = 'update stored set objects = objects + 1, bytes = bytes + new.size_bytes where state = new.state';
const removed = 'update stored set objects = objects - 1, bytes = bytes - old.size_bytes where state = old.state';

function countObjects({ trigger }: DefinitionDialect): readonly string[] {
  return [
    ...trigger({ name: 'object_added', after: 'insert', table: 'object', statements: [added] }),
    ...trigger({ name: 'object_removed', after: 'delete', table: 'object', statements: [removed] }),
    ...trigger({
      name: 'object_changed',
      after: 'update',
      table: 'object',
      when: 'old.state <> new.state or old.size_bytes <> new.size_bytes',
      statements: [removed, added],
    }),
  ];
}

function countUploads({ trigger }: DefinitionDialect): readonly string[] {
  const come = (difference: string) => `update stored set bytes = bytes + ${difference} where state = 'pending'`;
  const ofNew = 'case when new.oid is null then 0 else new.offset_bytes end';
  const ofOld = 'case when old.oid is null then 0 else old.offset_bytes end';
  return [
    ...trigger({
      name: 'upload_changed',
      after: 'update',
      table: 'upload',
      when: `${ofNew} <> ${ofOld}`,
      statements: [come(`${ofNew} - ${ofOld}`)],
    }),
    ...trigger({
      name: 'upload_removed',
      after: 'delete',
      table: 'upload',
      when: `${ofOld} <> 0`,
      statements: [come(`0 - old.offset_bytes`)],
    }),
  ];
}

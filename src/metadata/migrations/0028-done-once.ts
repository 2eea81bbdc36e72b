import type { Migration } from './migration.ts';

/**
 * What several processes of one registry have to know of each other. Who makes room where too much is stored, when it has
 * last let something go, and how it stands (JSON): one process at a time. And how far each audit file has come, of which
 * each machine may have its own.
 */
export const doneOnce: Migration = {
  number: 28,
  name: 'what is done once among several processes',
  understoodSince: 21,
  statements: ({ text, integer, clustered }) => [
    `create table room_making (
      name ${text} not null primary key check (name = 'room'),
      process ${text} references process (id) on delete set null,
      stepped_at ${integer},
      state ${text}
    ) ${clustered}`,
    `create index room_making_process on room_making (process) where process is not null`,

    `create table audit_file (
      writer ${text} not null primary key,
      last_id ${integer} not null
    ) ${clustered}`,
    `create index audit_file_last on audit_file (last_id)`,
  ],
};

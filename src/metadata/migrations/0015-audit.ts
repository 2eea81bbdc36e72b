import type { Migration } from './migration.ts';

/**
 * Who did what, in columns of their own: `actor` says the same in words. And what the log is compared with: how far it
 * has been written to a file, and which rules were in force at the last start.
 */
export const audit: Migration = {
  number: 15,
  name: 'audit',
  statements: ({ integer, clustered, text }) => [
    `alter table event add column identity ${text}`,
    `alter table event add column address ${text}`,
    `alter table event add column request_id ${text}`,
    `alter table event add column user_agent ${text}`,
    `alter table event add column result ${text} not null default 'done' check (result in ('done', 'refused'))`,
    // By number alone, a time could not be found once the clock was set back.
    `create index event_at on event (at, id)`,

    `create table audit_mark (
      name ${text} not null primary key check (name = 'file'),
      last_id ${integer} not null
    ) ${clustered}`,

    `create table rules_in_force (
      name ${text} not null primary key,
      hash ${text} not null,
      settings ${text}
    ) ${clustered}`,
  ],
};

import type { Migration } from './migration.ts';

/**
 * The number of the set of quotas in force: another one whenever a quota comes into force, goes, or is changed, and none that
 * was there before, as it could be if it were counted on and a standby that lacks the last transactions took over. Processes
 * of earlier versions do not ask for it, and go by the quotas that they were started with.
 */
export const quotaSet: Migration = {
  number: 29,
  name: 'quota set',
  understoodSince: 21,
  statements: ({ clustered, integer, randomNumber, text, trigger }) => {
    const next = `update quota_set set revision = ${randomNumber}`;
    return [
      `create table quota_set (
        name ${text} not null primary key check (name = 'registry'),
        revision ${integer} not null
      ) ${clustered}`,
      `insert into quota_set (name, revision) values ('registry', 1)`,
      ...trigger({ name: 'quota_added', after: 'insert', table: 'quota', statements: [next] }),
      ...trigger({
        name: 'quota_changed',
        after: 'update',
        table: 'quota',
        // How far a count has come makes no other set.
        when: 'coalesce(old.position, -1) <> coalesce(new.position, -1) or old.settings <> new.settings',
        statements: [next],
      }),
    ];
  },
};

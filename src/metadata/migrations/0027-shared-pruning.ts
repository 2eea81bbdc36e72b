import type { Migration } from './migration.ts';

/**
 * For several processes that prune: each repository is looked at by one at a time, until when it has claimed it, in ms since
 * 1970; and each process says by which policies it goes: NULL where it is of an earlier version. Reviews may have been
 * put away before by a process that did not know yet that their policy was approved: all are queued once more.
 */
export const sharedPruning: Migration = {
  number: 27,
  name: 'shared pruning',
  understoodSince: 21,
  statements: ({ text, integer }) => [
    `alter table retention_review add column claimed_until ${integer} not null default 0`,
    `create index retention_review_claimed on retention_review (claimed_until)`,
    `alter table process add column policies ${text}`,
    `update policy_approval set queued_at = null`,
  ],
};

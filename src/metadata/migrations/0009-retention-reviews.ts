import type { Migration } from './migration.ts';

/**
 * When a repository is looked at again for what its policy would prune; what was pruned of it lately, which the rails
 * count; which policies may prune; which ends have been told of beforehand; and why nothing is pruned for a while.
 */
export const retentionReviews: Migration = {
  number: 9,
  name: 'retention reviews',
  statements: ({ integer, clustered, text }) => [
    // The row of a repository stays between two looks: what has looked at it sees by its numbers what has changed since.
    `create table retention_review (
      repo ${text} not null primary key,
      due_at ${integer},
      version ${integer} not null default 0,
      narrowings ${integer} not null default 0,
      attempts ${integer} not null default 0
    ) ${clustered}`,
    `create index retention_review_due on retention_review (due_at) where due_at is not null`,

    `create table pruned_hour (
      repo ${text} not null,
      hour ${integer} not null,
      tags ${integer} not null check (tags >= 0),
      bytes ${integer} not null check (bytes >= 0),
      primary key (repo, hour)
    ) ${clustered}`,

    `create table policy_approval (
      policy ${text} not null primary key,
      approved_at ${integer} not null,
      approved_by ${text} not null,
      queued_at ${integer}
    ) ${clustered}`,

    `create table announced_end (
      repo ${text} not null,
      name ${text} not null,
      ends_at ${integer} not null,
      primary key (repo, name)
    ) ${clustered}`,

    `create table pruning_pause (
      name ${text} not null primary key check (name = 'pruning'),
      reason ${text} not null,
      paused_at ${integer} not null,
      until ${integer} not null
    ) ${clustered}`,
  ],
};

import type { Migration } from './migration.ts';

/**
 * What is shown of the processes that serve one registry: their version and the newest migration that they know, whether they
 * collect, since when they run and when they were last heard of, in ms since 1970 by their own clocks. NULL of those of
 * earlier versions.
 */
export const aboutProcesses: Migration = {
  number: 26,
  name: 'about processes',
  understoodSince: 21,
  statements: ({ text, integer }) => [
    `alter table process add column version ${text}`,
    `alter table process add column schema_number ${integer}`,
    `alter table process add column is_collecting ${integer} check (is_collecting in (0, 1))`,
    `alter table process add column since ${integer}`,
    `alter table process add column heard_at ${integer}`,
  ],
};

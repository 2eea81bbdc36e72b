import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { migrate } from '../sqlite/migrate.ts';
import { migrations } from './all.ts';

test('the repositories of policies that are approved are queued again: a process may have put them away that did not know of it', () => {
  using database = new Database(':memory:');
  migrate(database, migrations.slice(0, 26));
  database.run(`insert into policy_approval values ('one', 1, 'somebody', 2)`);
  database.run(`insert into retention_review (repo, due_at) values ('app', null)`);
  migrate(database, migrations.slice(0, 27));
  expect(database.query('select queued_at from policy_approval').values()).toEqual([[null]]);
  expect(database.query('select repo, claimed_until from retention_review').values()).toEqual([['app', 0]]);
});

import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { migrate } from '../sqlite/migrate.ts';
import { migrations } from './all.ts';

test('events that were written before are kept, with their numbers', () => {
  using database = new Database(':memory:');
  database.run('pragma foreign_keys = on');
  migrate(database, migrations.slice(0, 3));
  database.run(
    `insert into event (id, at, kind, repo, digest, tag, actor, reason, bytes)
      values (7, 1, 'tag.deleted', 'app', 'sha256:1', 'x', 'client', 'a reason', 2)`,
  );
  const rows = () => database.query('select * from event').values();
  const before = rows();
  migrate(database, migrations.slice(0, 4));
  expect(rows()).toEqual(before);
  database.run(`insert into event (at, kind, digest, actor) values (2, 'blob.collected', 'sha256:2', 'collector')`);
  expect(database.query('select id from event').values()).toEqual([[7], [8]]);
});

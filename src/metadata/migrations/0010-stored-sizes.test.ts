import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { migrate } from '../sqlite/migrate.ts';
import { migrations } from './all.ts';

test('an edge that holds its blob gets the size of its file, and one to what is absent keeps what was said', () => {
  using database = new Database(':memory:');
  database.run('pragma foreign_keys = on');
  migrate(database, migrations.slice(0, 9));
  for (const statement of [
    `insert into repository values ('app', 1)`,
    `insert into object (oid, digest, size_bytes, state) values ('a', 'one', 5, 'live'), ('b', 'two', 6, 'live')`,
    `insert into object (oid, digest, size_bytes, state) values ('c', 'absent', 7, 'dead')`,
    `insert into link values ('app', 'one', 10, 1, null), ('app', 'two', 10, 1, null)`,
    `insert into manifest (repo, digest, media_type, kind, state, lease_until, pushed_at, size_bytes, bytes)
      values ('app', 'image', 'm', 'image', 'live', 10, 1, 2, x'7b7d')`,
    `insert into manifest_blob values
      ('app', 'image', 'one', 5, 'one'), ('app', 'image', 'two', 99, 'two'), ('app', 'image', 'absent', 99, null)`,
  ]) {
    database.run(statement);
  }
  migrate(database, migrations.slice(0, 10));
  expect(database.query('select digest, size_bytes from manifest_blob order by digest').values()).toEqual([
    ['absent', 99],
    ['one', 5],
    ['two', 6],
  ]);
});

import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { migrate } from '../sqlite/migrate.ts';
import { migrations } from './all.ts';

test('uploads, open or done, and edges are kept', () => {
  using database = new Database(':memory:');
  database.run('pragma foreign_keys = on');
  migrate(database, migrations.slice(0, 1));
  for (const statement of [
    `insert into repository values ('app', 1)`,
    `insert into object (oid, state) values ('a', 'pending')`,
    `insert into upload values ('open', 'app', 'a', 'open', 'sha256', 7, 2, 3, 4, null)`,
    `insert into upload values ('done', 'app', null, 'done', 'sha256', 9, 1, 3, 5, 'sha256:9')`,
    `insert into object (oid, digest, size_bytes, state) values ('b', 'layer', 5, 'live')`,
    `insert into link values ('app', 'layer', 10, 1, null)`,
    `insert into manifest (repo, digest, media_type, kind, state, lease_until, pushed_at, size_bytes, bytes)
      values ('app', 'image', 'm', 'image', 'live', 10, 1, 2, x'7b7d')`,
    `insert into manifest_blob values ('app', 'image', 'layer', 5, 'layer'), ('app', 'image', 'foreign', 5, null)`,
  ]) {
    database.run(statement);
  }
  const rows = () => ['upload', 'manifest_blob'].map((table) => database.query(`select * from ${table}`).values());
  const before = rows();
  migrate(database, migrations.slice(0, 2));
  expect(rows()).toEqual(before);
  expect(database.query('pragma foreign_key_check').all()).toEqual([]);
  expect(() => database.run(`delete from object where oid = 'a'`)).toThrow('FOREIGN KEY');
  const second = `insert into upload values ('again', 'app', 'a', 'open', 'sha256', 0, 0, 3, 4, null)`;
  expect(() => database.run(second)).toThrow('UNIQUE');
});

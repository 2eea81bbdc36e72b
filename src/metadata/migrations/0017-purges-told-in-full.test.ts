import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { migrate } from '../sqlite/migrate.ts';
import { migrations } from './all.ts';

test('pins of what purges have taken away go, those of what has come again and of everything else stay', () => {
  using database = new Database(':memory:');
  migrate(database, migrations.slice(0, 16));
  for (const statement of [
    `insert into purge (at, actor, reason, is_shredding) values (1, 'somebody', 'why', 0)`,
    `insert into purge_place (purge, kind, repo, digest, name, quarantined_repo) values
      (1, 'manifest', 'app', 'gone', '', 'app'), (1, 'tag', 'app', 'gone', 'v1', 'app'),
      (1, 'tag', 'app', 'gone', 'again', null)`,
    `insert into pin (repo, kind, name, reason, pinned_by, pinned_at) values
      ('app', 'repository', '', 'why', 'somebody', 1),
      ('app', 'manifest', 'gone', 'why', 'somebody', 1), ('other', 'manifest', 'gone', 'why', 'somebody', 1),
      ('app', 'tag', 'v1', 'why', 'somebody', 1), ('app', 'tag', 'again', 'why', 'somebody', 1)`,
  ]) {
    database.run(statement);
  }
  migrate(database, migrations.slice(0, 17));
  expect(database.query('select repo, kind, name from pin order by repo, kind, name').values()).toEqual([
    ['app', 'repository', ''],
    ['app', 'tag', 'again'],
    ['other', 'manifest', 'gone'],
  ]);
});

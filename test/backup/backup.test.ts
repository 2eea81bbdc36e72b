import { Database } from 'bun:sqlite';
import { expect, setDefaultTimeout, test } from 'bun:test';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isWhole, pushImage } from '../admin/pushed-images.ts';
import { wherry } from '../admin/wherry.ts';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

setDefaultTimeout(60_000);

/** A directory for copies, which goes in the end. */
function copies() {
  const path = mkdtempSync(join(tmpdir(), 'wherry-backup-'));
  return { path, file: join(path, 'copy.db'), [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

test('a backup beside a registry that is pushed to has one state of it, and can be restored to it', async () => {
  await using registry = await ServedRegistry.start();
  using directory = copies();
  const image = await pushImage(registry, 'app', { tags: ['1'] });
  const over = new AbortController();
  const pushing = (async () => {
    let pushed = 0;
    for (; !over.signal.aborted; pushed++) await pushImage(registry, 'busy', { tags: ['latest'] });
    return pushed;
  })();
  const backup = await wherry(registry.dataDirectory, 'backup', '--to', directory.file, '--json');
  over.abort();
  expect(backup).toMatchObject({ code: 0, err: '' });
  expect(await pushing).toBeGreaterThan(0);
  const told = z.object({ sizeBytes: z.number(), manifests: z.number() }).parse(JSON.parse(backup.out));
  expect(told.sizeBytes).toBe(statSync(directory.file).size);
  expect(statSync(directory.file).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory.path)).toEqual(['copy.db']);
  {
    using copy = new Database(directory.file, { readonly: true });
    expect(copy.query('pragma foreign_key_check').all()).toEqual([]);
    expect(copy.query('select count(*) as manifests from manifest').get()).toEqual({ manifests: told.manifests });
  }

  await registry.send('/v2/app/manifests/1', { method: 'DELETE' });
  await registry.stop();
  const restored = await wherry(registry.dataDirectory, 'restore', '--from', directory.file);
  expect(restored).toMatchObject({ code: 0, err: '' });
  const aside = readdirSync(registry.dataDirectory).filter((name) => name.startsWith('wherry.db.before-restore-'));
  expect(aside).toHaveLength(1);
  expect(restored.out).toContain(aside[0] ?? '-');
  await registry.resume();
  expect(await isWhole(registry, 'app', '1', image)).toBe(true);
  expect(registry.rows(`select kind from event order by id desc limit 1`)).toEqual([{ kind: 'database.restored' }]);
});

test('a backup replaces no file but by --force, and leaves nothing behind where there is none', async () => {
  await using registry = await ServedRegistry.start();
  using directory = copies();
  writeFileSync(directory.file, 'precious');
  const refused = await wherry(registry.dataDirectory, 'backup', '--to', directory.file);
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toContain('is there already');
  expect(await Bun.file(directory.file).text()).toBe('precious');
  expect(await wherry(registry.dataDirectory, 'backup', '--to', directory.file, '--force')).toMatchObject({ code: 0 });
  expect(await Bun.file(directory.file).text()).toStartWith('SQLite format 3');
  const nowhere = await wherry(registry.dataDirectory, 'backup', '--to', join(directory.path, 'gone', 'copy.db'));
  expect(nowhere).toMatchObject({ code: 1, out: '' });
  const noRegistry = await wherry(directory.path, 'backup', '--to', join(directory.path, 'other.db'));
  expect(noRegistry.err).toContain('there is no wherry.db');
  expect(readdirSync(directory.path)).toEqual(['copy.db']);
});

test('a backup of a registry in PostgreSQL is told to be made by pg_dump', async () => {
  using directory = copies();
  const config = join(directory.path, 'wherry.yaml');
  writeFileSync(config, 'metadata: postgres://wherry:hidden@127.0.0.1:1/wherry\n');
  const refused = await wherry(directory.path, 'backup', '--to', directory.file, '--config', config);
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toContain('pg_dump');
  const restored = await wherry(directory.path, 'restore', '--from', directory.file, '--config', config);
  expect(restored.err).toContain('pg_restore');
  expect(refused.err + restored.err).not.toContain('hidden');
});

test('nothing is restored while a registry runs, nor what is no database, is damaged or of a newer version', async () => {
  await using registry = await ServedRegistry.start();
  using directory = copies();
  await pushImage(registry, 'app', { tags: ['1'] });
  await wherry(registry.dataDirectory, 'backup', '--to', directory.file);
  const running = await wherry(registry.dataDirectory, 'restore', '--from', directory.file);
  expect(running).toMatchObject({ code: 1, out: '' });
  expect(running.err).toContain('stop it first');
  await registry.stop();

  const text = join(directory.path, 'text.db');
  writeFileSync(text, 'no database'.repeat(1000));
  const damaged = join(directory.path, 'damaged.db');
  const bytes = await Bun.file(directory.file).bytes();
  bytes.fill(0xff, 40_000, 80_000);
  writeFileSync(damaged, bytes);
  const newer = join(directory.path, 'newer.db');
  await Bun.write(newer, Bun.file(directory.file));
  {
    using database = new Database(newer);
    database.run('pragma user_version = 9999');
  }
  const empty = join(directory.path, 'empty.db');
  writeFileSync(empty, '');
  const before = readdirSync(registry.dataDirectory);
  for (const from of [text, damaged, newer, empty, join(directory.path, 'none.db')]) {
    const refused = await wherry(registry.dataDirectory, 'restore', '--from', from);
    expect({ from, code: refused.code, out: refused.out }).toEqual({ from, code: 1, out: '' });
    expect(refused.err).toContain(from);
  }
  expect(readdirSync(registry.dataDirectory)).toEqual(before);
});

test('a database that is damaged is put aside as it is, with its log', async () => {
  await using registry = await ServedRegistry.start();
  using directory = copies();
  await pushImage(registry, 'app', { tags: ['1'] });
  await wherry(registry.dataDirectory, 'backup', '--to', directory.file);
  await registry.stop();
  const database = join(registry.dataDirectory, 'wherry.db');
  writeFileSync(database, 'damaged');
  writeFileSync(`${database}-wal`, 'its log');
  chmodSync(database, 0o640);
  expect(await wherry(registry.dataDirectory, 'restore', '--from', directory.file)).toMatchObject({ code: 0 });
  const aside = readdirSync(registry.dataDirectory).filter((name) => name.includes('before-restore'));
  const contents = await Promise.all(aside.map((name) => Bun.file(join(registry.dataDirectory, name)).text()));
  expect(contents.toSorted()).toEqual(['damaged', 'its log']);
  expect(existsSync(`${database}-wal`)).toBe(false);
  await registry.resume();
  expect((await registry.send('/v2/app/manifests/1')).status).toBe(200);
});

test('uploads that were under way when a copy was made are over when it is restored, and what they brought stays', async () => {
  await using registry = await ServedRegistry.start();
  using directory = copies();
  const opened = await registry.send('/v2/app/blobs/uploads/', { method: 'POST' });
  const session = opened.headers.get('location') ?? '';
  await registry.send(session, { method: 'PATCH', body: freshBytes(1000) });
  await wherry(registry.dataDirectory, 'backup', '--to', directory.file);
  await registry.stop();
  const restored = await wherry(registry.dataDirectory, 'restore', '--from', directory.file);
  expect(restored.out).toContain('1 uploads that were under way');
  await registry.resume();
  expect((await registry.send(session)).status).toBe(404);
  expect(await registry.objectFiles()).toHaveLength(1);
  expect(registry.rows(`select * from object`)).toEqual([]);
  expect(registry.rows(`select * from task where kind in ('upload', 'object')`)).toEqual([]);
});

test('a copy that was made while the registry was read-only is restored, read-only where somebody has said so', async () => {
  await using registry = await ServedRegistry.start();
  using directory = copies();
  await pushImage(registry, 'app', { tags: ['1'] });
  const restore = async (change: (database: Database) => void) => {
    const backup = await wherry(registry.dataDirectory, 'backup', '--to', directory.file, '--force');
    expect(backup).toMatchObject({ code: 0 });
    using database = new Database(directory.file);
    change(database);
    await registry.stop();
    const restored = await wherry(registry.dataDirectory, 'restore', '--from', directory.file);
    expect(restored).toMatchObject({ code: 0, err: '' });
    return restored.out;
  };
  const makeReadOnly = async (body: object) => {
    expect((await registry.admin('POST', '/readonly/on', body)).status).toBe(200);
  };

  await makeReadOnly({ reason: 'it is being moved', token: 'a'.repeat(32), leaseMs: 60_000 });
  expect(await restore(() => undefined)).not.toContain('read-only');
  await registry.resume();
  await pushImage(registry, 'app', { tags: ['2'] });

  await makeReadOnly({ reason: 'an audit' });
  const asBefore = await restore(() => undefined);
  expect(asBefore).toContain('(an audit). To have it changed again: wherry readonly off\n');
  expect((await wherry(registry.dataDirectory, 'readonly')).out).toContain('an audit');
  expect(await wherry(registry.dataDirectory, 'readonly', 'off')).toMatchObject({ code: 0 });

  await registry.resume();
  await makeReadOnly({ reason: 'another audit' });
  const moved = await restore((database) => database.run(`update read_only set moved_to = 'elsewhere'`));
  expect(moved).toContain('it had been moved to elsewhere');
  expect(moved).toContain('wherry readonly off --force\n');
});

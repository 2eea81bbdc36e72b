import { Database } from 'bun:sqlite';
import { describe, expect, spyOn, test } from 'bun:test';
import { join } from 'node:path';
import { Checkpoint } from '../../src/fsck/checkpoint.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import type { ServedRegistry } from '../http/served-registry.ts';
import { beside } from './beside.ts';
import { day, findings, found, isOnPostgres, repo, withContent } from './damaged-registry.ts';

const nobody = `sha256:${'0'.repeat(64)}`;

describe('what is kept of a manifest is what its bytes say:', () => {
  test('F5, bytes that read the same but are others', async () => {
    await withContent(async ({ registry, image, sql }) => {
      sql(
        {
          sqlite: `update manifest set bytes = cast(cast(bytes as text) || ' ' as blob), size_bytes = size_bytes + 1
            where digest = ?`,
          postgres: `update manifest set bytes = bytes || '\\x20'::bytea, size_bytes = size_bytes + 1 where digest = ?`,
        },
        image,
      );
      expect(await found(registry)).toEqual([`loss F5 ${repo}@${image}`]);
    });
  });

  test('F5, another size', async () => {
    await withContent(async ({ registry, image, sql }) => {
      sql('update manifest set size_bytes = size_bytes + 1 where digest = ?', image);
      const [lost, ...others] = await findings(registry);
      expect(others).toEqual([]);
      expect(lost).toMatchObject({ code: 'F5', severity: 'loss', about: `${repo}@${image}` });
      expect(lost?.message).toMatch(/^it has \d+ bytes, not \d+$/);
    });
  });

  test.each([
    ['kind', 'index', 'image'],
    ['artifact_type', 'something/else', 'application/vnd.oci.image.config.v1+json'],
    ['subject', nobody, 'null'],
  ])('F5, another %s', async (column, kept, said) => {
    await withContent(async ({ registry, image, sql }) => {
      sql(`update manifest set ${column} = ? where digest = ?`, kept, image);
      const [lost, ...others] = await findings(registry);
      expect(others).toEqual([]);
      expect(lost).toMatchObject({ code: 'F5', severity: 'loss', about: `${repo}@${image}` });
      expect(lost?.message).toBe(`its ${column.replace('_', ' ')} is kept as ${kept}, its bytes say ${said}`);
    });
  });

  test('F5, a listed manifest is held, but not as the blob that it might come as', async () => {
    await withContent(async ({ registry, index, image, sql }) => {
      sql('update manifest_child set present_child = null where parent = ?', index);
      const told = (await findings(registry)).map(({ code, message }) => `${code} ${message}`);
      expect(told).toContain(`F5 it lists ${image}, which it would not hold if it came as a blob`);
      expect(told).toContain(`F7 the manifest ${image} that it lists has come, and it does not hold it`);
    });
  });

  test('F5, a manifest is held that is not listed', async () => {
    await withContent(async ({ registry, index, untagged, sql }) => {
      sql('insert into manifest_child values (?, ?, ?, ?)', repo, index, untagged, untagged);
      expect(await found(registry)).toEqual([`leak F5 ${repo}@${index}`]);
    });
  });
});

test('F7 and F13, a tag, an index and a tag in the trash lead to a manifest that is gone', async () => {
  await withContent(async ({ registry, image, index, sql }) => {
    sql('delete from manifest where digest = ?', image);
    const losses = (await findings(registry)).filter(({ severity }) => severity === 'loss');
    expect(losses.map(({ code, about, message }) => `${code} ${about}: ${message}`).toSorted()).toEqual([
      `F13 ${repo}:old in the trash: its manifest ${image} is gone`,
      `F7 ${repo}:latest: its manifest ${image} is gone`,
      `F7 ${repo}@${index}: the manifest ${image} that it lists is gone`,
    ]);
  });
});

test('F3, two live objects have one digest', async () => {
  await withContent(async ({ registry, layer, layerOid, sql }) => {
    const twin = `${layerOid.slice(0, 2)}${'0'.repeat(30)}`;
    await registry.objects.write(twin, await registry.objects.bytes(layerOid));
    await registry.stop();
    breakRuleOfOneObject(registry);
    sql(`insert into object (oid, digest, state, size_bytes) values (?, ?, 'live', 100)`, twin, layer);
    const told = (await findings(registry)).filter(({ code }) => code === 'F3');
    expect(told.map(({ severity, about }) => `${severity} ${about}`).toSorted()).toEqual(
      [`loss object ${twin}`, `loss object ${layerOid}`].toSorted(),
    );
  });
});

/** Only tables without the rule let it come to that. */
function breakRuleOfOneObject(registry: ServedRegistry): void {
  if (isOnPostgres) {
    registry.tables.change('alter table object drop constraint object_live_digest_key cascade');
    registry.tables.change('create index object_live_digest on object (live_digest)');
    return;
  }
  using database = new Database(join(registry.dataDirectory, 'wherry.db'));
  const [made] = database.query<{ sql: string }, []>(`select sql from sqlite_schema where name = 'object'`).all();
  database.run('pragma legacy_alter_table = on');
  database.run('alter table object rename to ruled');
  database.run((made?.sql ?? '').replace('stored unique', 'stored'));
  const columns = database.query<{ name: string }, []>(`pragma table_info('ruled')`).all();
  const names = columns.map(({ name }) => name).join(', ');
  database.run(`insert into object (${names}) select ${names} from ruled`);
  database.run('drop table ruled');
}

test('F8, an open upload has lost its object', async () => {
  await withContent(async ({ registry, sql }) => {
    const [upload] = registry.rows<{ id: string; oid: string }>('select id, oid from upload where oid is not null');
    sql('delete from object where oid = ?', upload?.oid ?? '');
    expect(await found(registry)).toContain(`leak F8 upload ${upload?.id} to ${repo}`);
  });
});

describe('nothing is said of what is in order:', () => {
  test('a dead object whose file is gone', async () => {
    await withContent(async ({ registry, layer, sql }) => {
      sql(`insert into object (oid, digest, state, size_bytes) values ('0123', ?, 'dead', 5)`, layer);
      sql(`insert into task (kind, key1, due_at) values ('object', '0123', 0)`);
      expect(await found(registry, { servedSince: registry.clock.now() })).toEqual([]);
    });
  });

  test('what was due, or dead, while no server ran', async () => {
    await withContent(async ({ registry, layer, sql }) => {
      sql(`insert into object (oid, state, due_at) values ('0123', 'dead', 1)`);
      sql(`insert into task (kind, key1, due_at) values ('object', '0123', 1)`);
      sql(`update task set due_at = 1 where kind = 'link' and key2 = ?`, layer);
      const servedSince = registry.clock.now();
      expect(await found(registry, { servedSince })).toEqual([]);
      registry.clock.advance(day + 1);
      expect(await found(registry, { servedSince })).toContain('leak F11 object 0123');
    });
  });

  test('a manifest without a review that a pin holds', async () => {
    await withContent(async ({ registry, untagged, sql }) => {
      const target = `${repo}@${untagged}`;
      await registry.admin('POST', '/pins', { target, reason: 'audit' });
      sql(`delete from task where kind = 'manifest' and key2 = ?`, untagged);
      expect(await found(registry)).toEqual([]);
      sql('delete from pin');
      expect(await found(registry)).toEqual([`leak F9 ${target}`]);
    });
  });

  test('a manifest without a review in a repository that is pinned', async () => {
    await withContent(async ({ registry, untagged, sql }) => {
      await registry.admin('POST', '/pins', { target: repo, reason: 'audit' });
      sql(`delete from task where kind = 'manifest' and key2 = ?`, untagged);
      expect(await found(registry)).toEqual([]);
    });
  });

  test('manifests without reviews that a tag holds by the index that lists them, or by their subject', async () => {
    await withContent(async ({ registry, image, index, sql }) => {
      const config = freshBytes();
      await registry.pushBlob(repo, config);
      const bytes = (await (await registry.send(`/v2/${repo}/manifests/${index}`)).bytes()).length;
      const subject = { mediaType: 'application/vnd.oci.image.index.v1+json', digest: index, size: bytes };
      const referrer = JSON.stringify({ ...imageOf(config), subject });
      await registry.putManifest(repo, digestOf(referrer), referrer, ociManifest);
      sql(`delete from tag where name = 'latest'`);
      sql(`delete from task where kind = 'manifest' and key2 in (?, ?)`, image, digestOf(referrer));
      // It has lost its review too, which nothing but a review would end.
      expect(await found(registry)).toEqual([`leak F13 ${repo}:old in the trash`]);
    });
  });
});

test('F2, bytes of an object in the place of others are told and never removed', async () => {
  await withContent(async ({ registry }) => {
    const oid = 'ab'.repeat(16);
    const stored = await beside(registry.dataDirectory);
    const name = `objects/cd/${oid}`;
    await stored.write(name, 'x');
    expect(await found(registry, { repair: true, orphanAgeMs: 0 })).toContain(`note F2 ${stored.placeOf(name)}`);
    expect(await stored.bytesOf(name)).toEqual(Buffer.from('x'));
  });
});

test('each blob that was read is one that a broken off reading need not read again', async () => {
  await withContent(async ({ registry }) => {
    using passed = spyOn(Checkpoint.prototype, 'passed');
    expect(await found(registry, { rehash: { bytesPerSecond: 1e9, from: '' } })).toEqual([]);
    const oids = registry.rows<{ oid: string }>("select oid from object where state = 'live' order by oid");
    expect(passed.mock.calls.map(([oid]) => oid)).toEqual(oids.map(({ oid }) => oid));
  });
});

import { describe, expect, test } from 'bun:test';
import { closeSync, openSync, utimesSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openRecords } from '../../src/fsck/places.ts';
import { freshBytes } from '../http/content.ts';
import { until } from '../server/until.ts';
import { beside, objectNameOf } from './beside.ts';
import { day, findings, found, isInBucket, isOnPostgres, repo, withContent } from './damaged-registry.ts';

/** Of SQLite's pages. */
const pageBytes = 4096;

test('a registry in order has no findings, beside its server and without it', async () => {
  await withContent(async ({ registry }) => {
    expect(await found(registry)).toEqual([]);
    expect(await found(registry, { repair: true, rehash: { bytesPerSecond: 1e9, from: undefined } })).toEqual([]);
    await registry.stop();
    expect(await found(registry, { repair: true, rehash: { bytesPerSecond: 1e9, from: undefined } })).toEqual([]);
  });
});

describe('a loss names the images that it breaks:', () => {
  test('F1, the file of a blob is gone', async () => {
    await withContent(async ({ registry, layerOid }) => {
      await registry.objects.remove(layerOid);
      const [lost, ...others] = await findings(registry);
      expect(others).toEqual([]);
      expect(lost).toMatchObject({ code: 'F1', severity: 'loss', about: `object ${layerOid}` });
      expect(lost?.breaks).toEqual([`${repo}:latest`, `${repo}:multi`]);
    });
  });

  test('F1, it has another size', async () => {
    await withContent(async ({ registry, layerOid }) => {
      const bytes = await registry.objects.bytes(layerOid);
      await registry.objects.write(layerOid, Buffer.concat([bytes, Buffer.from('x')]));
      expect(await found(registry)).toEqual([`loss F1 object ${layerOid}`]);
      await registry.objects.cut(layerOid, bytes.byteLength - 1);
      expect(await found(registry)).toEqual([`loss F1 object ${layerOid}`]);
    });
  });

  test('F0, an index of the database does not have what its table has', async () => {
    await withContent(async ({ registry }) => {
      if (isOnPostgres) {
        registry.tables.change(`update pg_index set indisvalid = false where indexrelid = 'upload_object'::regclass`);
        expect(await found(registry)).toEqual(['loss F0 table upload']);
        return;
      }
      const [index] = registry.rows<{ rootpage: number }>(
        `select rootpage from sqlite_schema where name = 'upload_object'`,
      );
      await registry.stop();
      const page = ((index?.rootpage ?? 0) - 1) * pageBytes;
      const database = openSync(join(registry.dataDirectory, 'wherry.db'), 'r+');
      // Of a page's head, this is how many entries there are.
      writeSync(database, new Uint8Array(2), 0, 2, page + 3);
      closeSync(database);
      expect(await found(registry)).toContain('loss F0 table upload');
    });
  });

  test('F4, a blob that a repository has is no object any more', async () => {
    await withContent(async ({ registry, layer, layerOid, sql }) => {
      sql(`update object set state = 'dead' where oid = ?`, layerOid);
      expect(await found(registry)).toEqual([`leak F9 object ${layerOid}`, `loss F4 ${repo}@${layer}`]);
    });
  });

  test('F5, the bytes of a manifest are others', async () => {
    await withContent(async ({ registry, image, sql }) => {
      sql(
        {
          sqlite: `update manifest set bytes = cast(replace(cast(bytes as text), 'schema', 'SCHEMA') as blob) where digest = ?`,
          postgres: `update manifest set bytes = convert_to(replace(convert_from(bytes, 'UTF8'), 'schema', 'SCHEMA'), 'UTF8')
            where digest = ?`,
        },
        image,
      );
      const [lost] = await findings(registry);
      expect(lost).toMatchObject({ code: 'F5', severity: 'loss', about: `${repo}@${image}` });
      expect(lost?.breaks).toEqual([`${repo}:latest`, `${repo}:multi`]);
    });
  });

  test('F5, an edge to a blob or a child is missing', async () => {
    await withContent(async ({ registry, image, index, layer, sql }) => {
      sql('delete from manifest_blob where manifest = ? and digest = ?', image, layer);
      sql('delete from manifest_child where parent = ?', index);
      expect(await found(registry)).toEqual([`loss F5 ${repo}@${image}`, `loss F5 ${repo}@${index}`].toSorted());
    });
  });

  test('F6, an edge leads to a blob that the repository does not have', async () => {
    await withContent(async ({ registry, image, layer, layerOid, sql }) => {
      sql('delete from link where digest = ?', layer);
      expect(await found(registry)).toEqual([`leak F9 object ${layerOid}`, `loss F6 ${repo}@${image}`]);
    });
  });

  test('F6, a blob has come that its manifest does not hold', async () => {
    await withContent(async ({ registry, image, layer, sql }) => {
      sql('update manifest_blob set link_digest = null where manifest = ? and digest = ?', image, layer);
      sql(`delete from task where kind = 'link' and key2 = ?`, layer);
      expect(await found(registry)).toEqual([
        `leak F9 ${repo}@${layer}`,
        `loss F6 ${repo}@${image}`,
        `note F6 ${repo}@${image}`,
      ]);
    });
  });

  test('F7, a tag or an index leads to a manifest in the trash', async () => {
    await withContent(async ({ registry, image, index, sql }) => {
      sql(`update manifest set state = 'trashed', trash_until = 1 where digest = ?`, image);
      expect(await found(registry)).toEqual([`loss F7 ${repo}:latest`, `loss F7 ${repo}@${index}`]);
    });
  });
});

test('F6, an edge that has another size than its blob is noted', async () => {
  await withContent(async ({ registry, image, layer, sql }) => {
    sql('update manifest_blob set size_bytes = size_bytes + 1 where manifest = ? and digest = ?', image, layer);
    expect(await found(registry)).toEqual([`note F6 ${repo}@${image}`]);
  });
});

describe('a leak is found:', () => {
  test('F2, a file that no object owns, once it is a day old', async () => {
    await withContent(async ({ registry }) => {
      const oid = 'ab'.repeat(16);
      const orphan = (await beside(registry.dataDirectory)).placeOf(objectNameOf(oid));
      await registry.objects.write(oid, 'x');
      if (!isInBucket) utimesSync(orphan, new Date(), new Date());
      expect(await found(registry, { now: Date.now() })).toEqual([]);
      expect(await found(registry, { now: Date.now() + day + 1000 })).toEqual([`leak F2 ${orphan}`]);
      expect(
        (await findings(registry, { repair: true })).some(({ code, isRepaired }) => code === 'F2' && isRepaired),
      ).toBe(true);
      expect(await registry.objects.has(oid)).toBe(false);
    });
  });

  test('F5, an edge to what a manifest does not name', async () => {
    await withContent(async ({ registry, untagged, layer, sql }) => {
      sql(
        'insert into manifest_blob select ?, ?, digest, size_bytes, digest from object where live_digest = ?',
        repo,
        untagged,
        layer,
      );
      expect(await found(registry)).toEqual([`leak F5 ${repo}@${untagged}`]);
    });
  });

  test('F8, an object waits for an upload that is gone', async () => {
    await withContent(async ({ registry, sql }) => {
      sql(`insert into object (oid, state) values ('0123', 'pending')`);
      expect(await found(registry)).toEqual(['leak F8 object 0123']);
      // As where another process's upload is being copied into it.
      sql(
        `insert into task (kind, key1, key2, due_at) values ('object', '0123', '', ?)`,
        registry.clock.now() + 3_600_000,
      );
      expect(await found(registry)).toEqual([]);
    });
  });

  test.each([
    ['a manifest that was never tagged', 'manifest', 'F9'],
    ['an upload', 'upload', 'F9'],
  ])('F9, nothing will review %s', async (_what, kind) => {
    await withContent(async ({ registry, sql }) => {
      sql('delete from task where kind = ?', kind);
      const left = await found(registry);
      expect(left.some((finding) => finding.startsWith('leak F9'))).toBe(true);
      await registry.stop();
      expect((await findings(registry, { repair: true })).every(({ isRepaired }) => isRepaired)).toBe(true);
      expect(await found(registry)).toEqual([]);
    });
  });

  test('F9, nothing will review a blob that no manifest needs', async () => {
    await withContent(async ({ registry, sql }) => {
      const blob = await registry.pushBlob(repo, freshBytes());
      sql(`delete from task where kind = 'link' and key2 = ?`, blob);
      expect(await found(registry)).toEqual([`leak F9 ${repo}@${blob}`]);
      // Only a server that has the database to itself changes rows while it runs.
      expect((await findings(registry, { repair: true })).map(({ isRepaired }) => isRepaired)).toEqual([isOnPostgres]);
    });
  });

  test('F9, a review is late by more than an hour of the server being up, or fails again and again', async () => {
    await withContent(async ({ registry, layer, untagged, sql }) => {
      sql(`update task set due_at = ${registry.clock.now()} where kind = 'link' and key2 = ?`, layer);
      sql(`update task set attempts = 7 where kind = 'manifest' and key2 = ?`, untagged);
      const servedSince = 0;
      expect(await found(registry, { servedSince })).toEqual([`leak F9 review of manifest ${repo}@${untagged}`]);
      registry.clock.advance(3_700_000);
      expect(await found(registry, { servedSince })).toContain(`leak F9 review of link ${repo}@${layer}`);
      expect(await found(registry, { servedSince: registry.clock.now() })).toHaveLength(1);
      await registry.stop();
      // PostgreSQL knows of the end of a connection a moment later.
      await using records = await openRecords(registry.stores.places);
      await until('nobody serves it', async () => (await records.servedSince()) === undefined);
      expect(await found(registry)).toEqual([`leak F9 review of manifest ${repo}@${untagged}`]);
    });
  });

  test('F10, what is kept out is here', async () => {
    await withContent(async ({ registry, image, layer, layerOid, sql }) => {
      sql(`insert into blocked values (?, 1, 'secret')`, layer);
      expect(await found(registry)).toEqual([
        `leak F10 object ${layerOid}`,
        ...[`leak F10 ${repo}@${layer}`, `leak F10 ${repo}@${image}`].toSorted(),
      ]);
    });
  });

  test('F11, a dead object stays for more than a day of the server being up', async () => {
    await withContent(async ({ registry, sql }) => {
      sql(`insert into object (oid, state, due_at) values ('0123', 'dead', ${registry.clock.now()})`);
      sql(`insert into task (kind, key1, due_at) values ('object', '0123', ${registry.clock.now() + 2 * day})`);
      expect(await found(registry, { servedSince: 0 })).toEqual([]);
      registry.clock.advance(day + 1);
      expect(await found(registry, { servedSince: 0 })).toContain('leak F11 object 0123');
    });
  });

  test('F13, a tag in the trash that nothing will take out', async () => {
    await withContent(async ({ registry, image, sql }) => {
      sql(`delete from task where kind = 'manifest' and key2 = ?`, image);
      expect(await found(registry)).toEqual([`leak F13 ${repo}:old in the trash`]);
      await registry.stop();
      await findings(registry, { repair: true });
      expect(await found(registry)).toEqual([]);
    });
  });
});

test.each([true, false])(
  'F16, what is stored is miscounted, and counted anew (beside a server: %p)',
  async (isServed) => {
    await withContent(async ({ registry, sql }) => {
      sql(`update stored set objects = objects + 1, bytes = bytes + 5 where state = 'live'`);
      sql(`update stored set bytes = bytes + 7 where state = 'pending'`);
      const wrong = ['leak F16 count of live objects', 'leak F16 count of pending objects'];
      expect(await found(registry)).toEqual(wrong);
      if (isServed) {
        const answer = await registry.admin('POST', '/fsck', { repair: true });
        expect(await answer.text()).toContain('"isRepaired":true');
      } else {
        await registry.stop();
        await findings(registry, { repair: true });
      }
      expect(await found(registry)).toEqual([]);
    });
  },
);

describe('a note is nothing wrong:', () => {
  test('F2, a name that is none of its own is told and never removed', async () => {
    await withContent(async ({ registry }) => {
      const stored = await beside(registry.dataDirectory);
      const names = ['objects/ab/notes.txt', 'objects/lost+found'];
      for (const name of names) await stored.write(name, 'x');
      registry.clock.advance(30 * day);
      await registry.collected();
      const notes = names.map((name) => `note F2 ${stored.placeOf(name)}`);
      expect(await found(registry, { repair: true })).toEqual(notes);
      for (const name of names) expect(await stored.bytesOf(name)).toEqual(Buffer.from('x'));
    });
  });

  test('F1, a file is gone that nothing needs', async () => {
    await withContent(async ({ registry, layer, layerOid, sql }) => {
      sql(`update object set state = 'condemned' where oid = ?`, layerOid);
      sql('delete from link where digest = ?', layer);
      await registry.objects.remove(layerOid);
      expect(await found(registry)).toContain(`note F1 object ${layerOid}`);
    });
  });
});

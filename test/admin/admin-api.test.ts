import { describe, expect, test } from 'bun:test';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { adminEndpoints, adminPrefix } from '../../src/http/admin/routes.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { StubbornDisk } from '../purge/stubborn-disk.ts';
import { pushImage, remove } from './pushed-images.ts';

describe('the admin API', () => {
  test('answers nobody who does not know the token of the data directory', async () => {
    await using registry = await ServedRegistry.start();
    for (const authorization of ['', 'Bearer', 'Bearer guess', 'Basic Z3Vlc3M6Z3Vlc3M=']) {
      for (const { method, path } of adminEndpoints) {
        const answer = await registry.send(adminPrefix + path, { method, headers: { authorization } });
        await expectRefusal(answer, 401, 'UNAUTHORIZED');
        expect(answer.headers.get('www-authenticate')).toStartWith('Bearer');
      }
    }
  });

  test.each(['cross-site', 'same-site'])(
    'takes nothing that a %s page has a browser send, nor does the rest of the registry',
    async (site) => {
      await using registry = await ServedRegistry.start();
      const token = (await readFile(join(registry.dataDirectory, 'admin.token'), 'utf8')).trim();
      const pause = async (from: string) =>
        await registry.send(`${adminPrefix}/collector/pause`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'sec-fetch-site': from },
          body: '{"reason":"a page says so"}',
        });
      await expectRefusal(await pause(site), 403, 'DENIED');
      expect((await pause('none')).status).toBe(200);
      const upload = { method: 'POST', headers: { 'sec-fetch-site': site } };
      await expectRefusal(await registry.send('/v2/team/app/blobs/uploads/', upload), 403, 'DENIED');
    },
  );

  test('has a token that only its own user can read, and another one for each run', async () => {
    await using registry = await ServedRegistry.start();
    const token = join(registry.dataDirectory, 'admin.token');
    const first = await Bun.file(token).text();
    expect((await stat(token)).mode & 0o777).toBe(0o600);
    expect(await Bun.file(join(registry.dataDirectory, 'server.url')).text()).toBe(`${registry.origin}\n`);
    await registry.stop();
    expect(await Bun.file(token).exists()).toBe(false);
    await registry.resume();
    expect(await Bun.file(token).text()).not.toBe(first);
  });

  test('describes every endpoint to anybody', async () => {
    await using registry = await ServedRegistry.start();
    const answer = await registry.send(`${adminPrefix}/openapi.json`);
    const document = z
      .object({
        openapi: z.string(),
        paths: z.record(z.string(), z.record(z.string(), z.object({ summary: z.string() }))),
      })
      .parse(await answer.json());
    expect(document.openapi).toStartWith('3.1.');
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(
      adminEndpoints.map(({ method, path }) => `${method} ${adminPrefix}${path}`).sort(),
    );
  });

  test.each([
    ['GET', '/trash?n=0', undefined, 'n: '],
    ['GET', '/trash?n=many', undefined, 'n: '],
    ['GET', '/trash?unknown=1', undefined, 'unknown'],
    ['POST', '/trash/restore', {}, 'target'],
    ['POST', '/trash/restore', { target: 'NO' }, 'letters must be lower-case'],
    ['POST', '/pins', { target: 'app', reason: ' ' }, 'reason'],
    ['POST', '/pins', { target: `app:x@sha256:${'0'.repeat(64)}`, reason: 'r' }, 'either the tag or the digest'],
  ])('refuses what makes no sense, and says what: %s %s %j', async (method, path, body, message) => {
    await using registry = await ServedRegistry.start();
    const refusal = await expectRefusal(await registry.admin(method, path, body), 400, 'UNSUPPORTED');
    expect(refusal.message).toContain(message);
  });

  test('says what is possible where something else is asked for', async () => {
    await using registry = await ServedRegistry.start();
    await expectRefusal(await registry.admin('GET', '/nothing'), 404, 'UNSUPPORTED');
    const answer = await registry.admin('PUT', '/pins');
    await expectRefusal(answer, 405, 'UNSUPPORTED');
    expect(answer.headers.get('allow')).toBe('GET, POST, DELETE');
  });
});

describe('a collector', () => {
  const status = z.object({ state: z.string(), dueReviews: z.number(), oldestDueMs: z.number() });

  test('that is paused collects nothing, also after a restart, until it is resumed', async () => {
    await using registry = await ServedRegistry.start({ 'windows.lease': '0', 'windows.trash': '0' });
    const ask = async (method: string, path = '', body?: object) =>
      await (await registry.admin(method, `/collector${path}`, body)).json();
    await ask('POST', '/resume');
    expect(status.parse(await ask('GET')).state).toBe('running');
    expect(await ask('POST', '/pause', { reason: 'looking into it' })).toMatchObject({
      state: 'paused',
      paused: { reason: 'looking into it' },
    });
    await pushImage(registry, 'app', { tags: ['x'] });
    await remove(registry, 'app', 'x');
    registry.clock.advance(1000);
    await registry.stop();
    await registry.resume();
    const paused = await ask('GET');
    expect(paused).toMatchObject({ state: 'paused', paused: { reason: 'looking into it' } });
    expect(status.parse(paused).dueReviews).toBeGreaterThan(0);
    expect(status.parse(paused).oldestDueMs).toBe(1000);
    const metrics = await (await registry.send('/metrics')).text();
    expect(metrics).toContain('wherry_collector_paused 1\n');
    expect(metrics).toContain('wherry_collector_oldest_due_seconds 1\n');
    expect(metrics).toMatch(/wherry_collector_due_reviews [1-9]/);
    expect(registry.rows('select kind, reason from event where kind like ?', 'collector.%')).toEqual([
      { kind: 'collector.paused', reason: 'looking into it' },
    ]);
    expect(await ask('POST', '/resume')).toMatchObject({ state: 'running' });
  });

  test('that is paused does not take up what an earlier run has left to be removed either', async () => {
    await using registry = await ServedRegistry.start({ 'windows.lease': '0' });
    await registry.admin('POST', '/collector/pause', { reason: 'looking into it' });
    const digest = await registry.pushBlob('app', crypto.getRandomValues(new Uint8Array(10)));
    await registry.stop();
    registry.tables.change('delete from link where digest = ?', digest);
    registry.tables.change(
      `insert into task (kind, key1, key2, due_at) select 'object', oid, '', 0 from object where true`,
    );
    registry.tables.change(`update object set state = 'dead'`);
    await registry.resume({ 'windows.lease': '0' });
    // What it has begun is over when it has stopped.
    await registry.stop();
    expect(await registry.objectFiles()).toHaveLength(1);
    await registry.resume({ 'windows.lease': '0' });
    await registry.admin('POST', '/collector/resume');
    await until('the file is gone', async () => (await registry.objectFiles()).length === 0);
  });

  test('counts what it takes away, the bytes that it gives back, and what it has to try again', async () => {
    const disk = new StubbornDisk();
    const settings = {
      'windows.lease': '0',
      'windows.trash': '0',
      'windows.condemned': '0',
      'windows.upload': '1h',
    };
    await using registry = await ServedRegistry.start(settings, disk.syncs);
    await pushImage(registry, 'app', { tags: ['x'] });
    for (const repo of ['one', 'two', 'three']) {
      await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    }
    const metric = async (name: string): Promise<number> => {
      const lines = (await (await registry.send('/metrics')).text()).split('\n');
      return Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length));
    };
    const collected = async (kind: string) => await metric(`wherry_collected_total{kind="${kind}"}`);
    expect(await metric('wherry_open_uploads')).toBe(3);
    expect(await metric('wherry_blobs')).toBe(2);
    expect(await metric('wherry_collector_failures_total')).toBe(0);
    await remove(registry, 'app', 'x');
    const [stuck = ''] = await registry.objectFiles();
    disk.keeps = (oid) => oid === stuck;
    registry.clock.advance(3_600_000);
    await registry.collected();
    expect(await collected('manifest')).toBe(1);
    expect(await collected('link')).toBe(2);
    expect(await collected('blob')).toBe(2);
    expect(await collected('upload')).toBe(3);
    expect(await metric('wherry_collector_failures_total')).toBeGreaterThan(0);
    const files = await collected('file');
    expect(files).toBeGreaterThan(0);
    expect(await metric('wherry_reclaimed_bytes_total')).toBe(100);

    disk.keeps = () => false;
    registry.clock.advance(3_600_000);
    await registry.collected();
    expect(await collected('file')).toBe(files + 1);
    expect(await metric('wherry_reclaimed_bytes_total')).toBe(200);
  });
});

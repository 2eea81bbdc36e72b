import { expect, test } from 'bun:test';
import { z } from 'zod';
import { QuotaSet } from '../../src/quotas/quota-set.ts';
import { isWhole, pushImage } from '../admin/pushed-images.ts';
import { freshBytes } from './content.ts';
import { ServedRegistry, type Settings } from './served-registry.ts';

const repo = 'team/app';
const settings: Settings = { 'windows.lease': '1h', 'windows.trash': '0', 'windows.condemned': '0' };

async function refusalOf(answer: Response) {
  const body = z.object({ errors: z.tuple([z.object({ code: z.string(), message: z.string() })]) });
  const { errors } = body.parse(await answer.json());
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), ...errors[0] };
}

test('a registry that is read-only refuses every change, serves pulls and HEADs, and says so after a restart', async () => {
  await using registry = await ServedRegistry.start(settings);
  const image = await pushImage(registry, repo, { tags: ['1'] });
  const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  const session = opened.headers.get('location') ?? '';
  expect((await registry.admin('POST', '/readonly/on', { reason: 'it is moved' })).status).toBe(200);
  const events = () => registry.rows<{ count: number }>('select count(*) as count from event')[0]?.count;
  const before = events();

  const changes = [
    () => registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' }),
    () => registry.send(session, { method: 'PATCH', body: freshBytes() }),
    () => registry.send(session, { method: 'DELETE' }),
    () => registry.putManifest(repo, '2', image.manifest),
    () => registry.send(`/v2/${repo}/manifests/1`, { method: 'DELETE' }),
    () => registry.send(`/v2/${repo}/blobs/${image.blobs[0]}`, { method: 'DELETE' }),
    () => registry.admin('POST', '/pins', { target: repo, reason: 'to keep it' }),
    () => registry.admin('POST', '/purge', { digests: [image.blobs[0]], reason: 'a secret' }),
  ];
  const expectReadOnly = async () => {
    for (const change of changes) {
      const refused = await refusalOf(await change());
      expect(refused).toMatchObject({ status: 503, code: 'UNAVAILABLE', retryAfter: '30' });
      expect(refused.message).toContain('it is moved');
    }
    // A lease has less than its half left.
    registry.clock.advance(50 * 60_000);
    for (const path of [`manifests/1`, `manifests/${image.digest}`, `blobs/${image.blobs[0]}`]) {
      expect((await registry.send(`/v2/${repo}/${path}`, { method: 'HEAD' })).status).toBe(200);
    }
    expect(await isWhole(registry, repo, '1', image)).toBe(true);
    registry.clock.advance(24 * 3_600_000);
    expect(events()).toBe(before);
  };
  await expectReadOnly();
  await registry.stop();
  await registry.resume(settings);
  await expectReadOnly();

  expect((await registry.admin('POST', '/readonly/off', {})).status).toBe(200);
  expect((await registry.putManifest(repo, '2', image.manifest)).status).toBe(201);
});

test('what is not renewed ends by itself, and whoever held it is told that it has', async () => {
  await using registry = await ServedRegistry.start(settings);
  const on = { reason: 'it is moved', token: 'mine', leaseMs: 60_000 };
  expect((await registry.admin('POST', '/readonly/on', on)).status).toBe(200);
  expect((await registry.admin('POST', '/readonly/on', { ...on, token: 'another' })).status).toBe(409);
  registry.clock.advance(50_000);
  expect((await registry.admin('POST', '/readonly/renew', { token: 'mine', leaseMs: 60_000 })).status).toBe(200);
  registry.clock.advance(50_000);
  await registry.stop();
  await registry.resume(settings);
  expect((await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' })).status).toBe(503);
  registry.clock.advance(50_000);
  await registry.stop();
  await registry.resume(settings);
  expect((await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' })).status).toBe(202);
  expect((await registry.admin('POST', '/readonly/renew', { token: 'mine', leaseMs: 60_000 })).status).toBe(409);
  const held = { reason: 'moved', token: 'mine', isHeld: true };
  expect((await registry.admin('POST', '/readonly/on', held)).status).toBe(409);

  expect((await registry.admin('POST', '/readonly/on', on)).status).toBe(200);
  registry.clock.advance(70_000);
  expect((await registry.admin('POST', '/readonly/on', { ...on, token: 'another' })).status).toBe(200);
  expect((await registry.admin('POST', '/readonly/on', held)).status).toBe(409);
});

test('one that was moved elsewhere is changed again only by somebody who means it', async () => {
  await using registry = await ServedRegistry.start(settings);
  const moved = { reason: 'it was moved', token: 'mine', movedTo: 's3://elsewhere' };
  expect((await registry.admin('POST', '/readonly/on', moved)).status).toBe(200);
  const refused = await refusalOf(await registry.admin('POST', '/readonly/off', {}));
  expect(refused).toMatchObject({ status: 409, code: 'DENIED' });
  expect(refused.message).toContain('s3://elsewhere');
  expect((await registry.admin('POST', '/readonly/off', { isForced: true })).status).toBe(200);
  await registry.pushBlob(repo, freshBytes());
});

test('nothing is collected while it is read-only, and all that is due afterwards', async () => {
  await using registry = await ServedRegistry.start({ ...settings, 'windows.lease': '0' });
  await registry.pushBlob(repo, freshBytes());
  registry.clock.advance(60_000);
  await registry.admin('POST', '/readonly/on', { reason: 'it is moved' });
  const collected = registry.collected();
  expect(collected).rejects.toThrow('read-only');
  await collected.catch(() => undefined);
  expect(await registry.objectFiles()).toHaveLength(1);
  await registry.admin('POST', '/readonly/off', {});
  await registry.collected();
  expect(await registry.objectFiles()).toHaveLength(0);
});

test('one that is started while it is read-only says so once, and what is refused meanwhile is no error', async () => {
  await using registry = await ServedRegistry.start(settings);
  const image = await pushImage(registry, repo, { tags: ['1'] });
  await registry.admin('POST', '/readonly/on', { reason: 'it is moved' });
  await registry.stop();
  const limits = QuotaSet.parse([{ repositories: 'team/**', bytes: { hard: '1GiB' } }]);
  if (!limits.ok) throw new Error(limits.problems.join('\n'));
  registry.quotas = limits.set;
  registry.logged.length = 0;
  await registry.resume({ ...settings, 'log.level': 'info' });
  expect((await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' })).status).toBe(503);
  expect((await registry.putManifest(repo, '2', image.manifest)).status).toBe(503);
  // By then it has tried to count what is limited.
  await registry.stop();
  const line = z.object({ level: z.string(), msg: z.string(), reason: z.string().optional() });
  const lines = registry.logged.map((text) => line.parse(JSON.parse(text)));
  expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
  expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([{ reason: 'it is moved' }]);
  expect(lines.filter(({ msg }) => msg === 'request')).toHaveLength(2);
});

import { expect, test } from 'bun:test';
import { ServedRegistry } from '../http/served-registry.ts';
import { wherry } from './wherry.ts';

/** Nothing listens there. */
const bucketAway = ['--blobs', 's3://registry/blobs', '--s3-endpoint', 'http://127.0.0.1:1'];

test('a registry is switched to read-only and back while its blobs cannot be reached and no server runs', async () => {
  await using registry = await ServedRegistry.start();
  await registry.stop();
  const run = async (...args: readonly string[]) =>
    await wherry(registry.dataDirectory, 'readonly', ...args, ...bucketAway);
  expect(await run()).toMatchObject({ code: 0, out: 'The registry can be changed.\n' });
  const on = await run('on', '--reason', 'the bucket is repaired');
  expect(on).toMatchObject({ code: 0, err: '' });
  expect(on.out).toContain('the bucket is repaired');
  expect((await run('status')).out).toBe(on.out);
  const nothing = await run('on', '--reason', ' ');
  expect(nothing).toMatchObject({ code: 1, err: 'wherry: reason: say why\n' });
  await registry.resume();
  expect((await registry.send('/v2/team/app/blobs/uploads/', { method: 'POST' })).status).toBe(503);
  await registry.stop();
  expect(await run('off')).toMatchObject({ code: 0, out: 'The registry can be changed.\n' });
});

test('whether a registry can be changed is asked of the server that runs, whatever flags say where the blobs are', async () => {
  await using registry = await ServedRegistry.start();
  const on = await wherry(registry.dataDirectory, 'readonly', 'on', ...bucketAway);
  expect(on).toMatchObject({ code: 0, err: '' });
  expect((await registry.send('/v2/team/app/blobs/uploads/', { method: 'POST' })).status).toBe(503);
});

test('a registry that was moved elsewhere is not switched back without --force, with no server either', async () => {
  await using registry = await ServedRegistry.start();
  const moved = { reason: 'it was moved', token: 'mine', movedTo: 's3://elsewhere' };
  expect((await registry.admin('POST', '/readonly/on', moved)).status).toBe(200);
  await registry.stop();
  const refused = await wherry(registry.dataDirectory, 'readonly', 'off');
  expect(refused.code).toBe(1);
  expect(refused.err).toContain('s3://elsewhere');
  expect((await wherry(registry.dataDirectory, 'readonly', 'off', '--force')).code).toBe(0);
});

import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { storageStatus } from '../../src/http/admin/status.ts';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { patchChunk, sessionOf } from '../http/upload-client.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const repo = 'team/app';
const hour = 3_600_000;
const windows = { 'windows.lease': '1h', 'windows.trash': '12h', 'windows.condemned': '10m', 'windows.upload': '2h' };

async function statusOf(registry: ServedRegistry) {
  return storageStatus.answer.parse(await (await registry.admin('GET', '/status')).json());
}

async function push(registry: ServedRegistry, tag: string, layer: Uint8Array): Promise<void> {
  const config = new Uint8Array(1);
  await registry.pushBlob(repo, config);
  await registry.pushBlob(repo, layer);
  expect((await registry.putManifest(repo, tag, imageOf(config, layer))).status).toBe(201);
}

test('the status says what is held, shared, in the trash, garbage and being uploaded, and what goes when', async () => {
  await using registry = await ServedRegistry.start(windows);
  const shared = freshBytes(1000);
  await push(registry, 'kept', shared);
  const mount = `/v2/other/blobs/uploads/?mount=${digestOf(shared)}&from=${repo}`;
  expect((await registry.send(mount, { method: 'POST' })).status).toBe(201);
  await push(registry, 'gone', freshBytes(200));
  await registry.send(`/v2/${repo}/manifests/gone`, { method: 'DELETE' });
  // Not where an upload is under way, which keeps leases from ending.
  await registry.pushBlob('third', freshBytes(30));
  const session = sessionOf(await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' }));
  await patchChunk(registry, session, freshBytes(4));

  const before = await statusOf(registry);
  expect(before).toMatchObject({
    state: 'within-bounds',
    stored: {
      held: { objects: 4, bytes: 1231 },
      shared: { bytes: 1000, savedBytes: 1000 },
      uploads: { objects: 1, bytes: 4 },
    },
    trash: { tags: 1, manifests: 0, bytes: 200, isPartial: false },
    // Within the day also what was pushed for no manifest, what is in the trash, and the upload.
    freed: { withinHourBytes: 30, withinDayBytes: 234, isPartial: false },
    events: [],
  });
  registry.clock.advance(hour + 1);
  await registry.collected();
  const later = await statusOf(registry);
  expect(later.stored.garbage).toMatchObject({ condemned: { objects: 1, bytes: 30 }, forAnHourBytes: 30 });
  expect(later.freed).toMatchObject({ withinHourBytes: 34, withinDayBytes: 234 });
});

test('samples are kept for a month, one an hour, also over a restart', async () => {
  await using registry = await ServedRegistry.start(windows);
  const samples = () => registry.rows<{ at: number }>('select at from storage_sample').length;
  await registry.looked();
  await registry.looked();
  expect(samples()).toBe(1);
  await registry.stop();
  await registry.resume(windows);
  await registry.looked();
  expect(samples()).toBe(1);
  for (let hours = 0; hours < 31 * 24; hours++) {
    registry.clock.advance(hour);
    await registry.looked();
  }
  expect(samples()).toBe(30 * 24 + 1);
});

test.each(['a server that runs', 'no server'])('wherry status fits on one screen, with %s', async (kind) => {
  await using registry = await ServedRegistry.start(windows);
  await push(registry, 'kept', freshBytes(2000));
  if (kind === 'no server') await registry.stop();
  const run = async (...args: readonly string[]) => {
    const child = Bun.spawn([process.execPath, main, 'status', '--data', registry.dataDirectory, ...args], {
      env: { ...process.env, ...registry.environment },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    expect([err, code]).toEqual(['', 0]);
    return out;
  };
  const text = await run();
  expect(text).toContain('in repositories       2.0 KiB in 2 blobs\n');
  expect(text).toContain('state                 within its bounds\n');
  expect(text.split('\n').length).toBeLessThanOrEqual(24);
  expect(storageStatus.answer.parse(JSON.parse(await run('--json'))).stored.held.bytes).toBe(2001);
});

import { expect, setDefaultTimeout, test } from 'bun:test';
import { z } from 'zod';
import { pushImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { StubbornDisk } from './stubborn-disk.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';
const record = z.object({ isClean: z.boolean(), places: z.array(z.object({ kind: z.string(), count: z.number() })) });

/** A place where nothing can be removed until a test says so: what dies stays. */
function keepingDisk(): StubbornDisk {
  const disk = new StubbornDisk();
  disk.keeps = () => true;
  return disk;
}

async function openedUpload(registry: ServedRegistry, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  const session = opened.headers.get('location') ?? '';
  expect((await registry.send(session, { method: 'PATCH', body: bytes })).status).toBe(202);
  return session;
}

test.each([
  ['lost against a copy that was here', 'PUT', (digest: string) => `?digest=${digest}`, 201],
  ['was something else than was said', 'PUT', () => `?digest=${digestOf(freshBytes())}`, 400],
  ['was given up', 'DELETE', () => '', 204],
])(
  'a copy of an upload that %s, and cannot be removed yet, is found by a purge and removed with it',
  async (_, method, query, status) => {
    const disk = keepingDisk();
    await using registry = await ServedRegistry.start({}, disk.syncs);
    const bytes = freshBytes(5000);
    const secret = digestOf(bytes);
    await pushImage(registry, repo, { tags: ['v1'], layers: [bytes] });
    const before = (await registry.objectFiles()).length;
    const session = await openedUpload(registry, bytes);
    expect((await registry.send(session + query(secret), { method })).status).toBe(status);
    await until('it was tried to remove it', () => disk.refused > 0);
    expect((await registry.objectFiles()).length).toBe(before + 1);

    disk.keeps = () => false;
    const purged = await registry.admin('POST', '/purge', { digests: [secret], reason: 'why' });
    const { isClean, places } = record.parse(await purged.json());
    expect(isClean).toBe(true);
    expect(places).toContainEqual({ kind: 'object', count: 2 });
    expect((await registry.objectFiles()).length).toBe(before - 1);
  },
);

test('a copy of an upload whose session has expired, and which cannot be removed yet, is found by a purge', async () => {
  const disk = keepingDisk();
  await using registry = await ServedRegistry.start({}, disk.syncs);
  const bytes = freshBytes(5000);
  await openedUpload(registry, bytes);
  registry.clock.advance(30 * 86_400_000);
  await registry.collected();
  expect(await registry.objectFiles()).toHaveLength(1);
  disk.keeps = () => false;
  await registry.admin('POST', '/purge', { digests: [digestOf(bytes)], reason: 'why' });
  expect(await registry.objectFiles()).toHaveLength(0);
});

import { describe, expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from './content.ts';
import { HeldDisk, type Synced } from './held-disk.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'kept/image';

/** A registry on a disk that the test holds back, with an image under the tag `x`. */
async function registryOn(disk: HeldDisk) {
  const registry = await ServedRegistry.start({}, disk.syncs);
  const config = freshBytes();
  const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  const closing = `${session.headers.get('location') ?? ''}?digest=${digestOf(config)}`;
  await registry.send(closing, { method: 'PUT', body: config });
  const blob = digestOf(config);
  const manifest = JSON.stringify(imageOf(config));
  await registry.putManifest(repo, 'x', manifest);
  const loose = await registry.pushBlob(repo, freshBytes());
  return { registry, config, blob, closing, loose, manifest, digest: digestOf(manifest) };
}

type Prepared = Awaited<ReturnType<typeof registryOn>>;

/** Which syncs an answer waits for, step by step: those that it asks for together are one step. */
async function stepsBefore(answer: Promise<Response>, disk: HeldDisk, registry: ServedRegistry) {
  let status: number | undefined;
  const answering = answer.then((answered) => (status = answered.status));
  const steps: string[] = [];
  for (;;) {
    await Promise.race([disk.waiting(), answering]);
    // Whatever could be answered without the disk is answered by now.
    for (let round = 0; round < 5; round++) await registry.send('/v2/');
    if (status !== undefined) return { steps, status };
    steps.push((await disk.waiting()).join('+'));
    disk.release();
  }
}

const changes: readonly [what: string, change: (prepared: Prepared) => Promise<Response>, steps: readonly string[]][] =
  [
    [
      'a blob',
      async ({ registry }) => {
        const bytes = freshBytes();
        return await registry.send(`/v2/${repo}/blobs/uploads/?digest=${digestOf(bytes)}`, {
          method: 'POST',
          body: bytes,
        });
      },
      ['object+shard', 'log'],
    ],
    [
      'a blob that is there already',
      async ({ registry, blob, config }) =>
        await registry.send(`/v2/other/blobs/uploads/?digest=${blob}`, { method: 'POST', body: config }),
      ['log'],
    ],
    [
      'a mount',
      async ({ registry, blob }) =>
        await registry.send(`/v2/other/blobs/uploads/?mount=${blob}&from=${repo}`, { method: 'POST' }),
      ['log'],
    ],
    ['a manifest', async ({ registry, manifest }) => await registry.putManifest(repo, 'y', manifest), ['log']],
    [
      'the deletion of a tag',
      async ({ registry }) => await registry.send(`/v2/${repo}/manifests/x`, { method: 'DELETE' }),
      ['log'],
    ],
    [
      'the deletion of a manifest',
      async ({ registry, digest }) => await registry.send(`/v2/${repo}/manifests/${digest}`, { method: 'DELETE' }),
      ['log'],
    ],
    [
      'the deletion of a blob',
      async ({ registry, loose }) => await registry.send(`/v2/${repo}/blobs/${loose}`, { method: 'DELETE' }),
      ['log'],
    ],
    [
      'a HEAD of a blob that renews its lease',
      async ({ registry, blob }) => {
        registry.clock.advance(5 * 3_600_000);
        return await registry.send(`/v2/${repo}/blobs/${blob}`, { method: 'HEAD' });
      },
      ['log'],
    ],
    [
      'a HEAD of a manifest that renews its lease',
      async ({ registry }) => {
        registry.clock.advance(5 * 3_600_000);
        return await registry.send(`/v2/${repo}/manifests/x`, { method: 'HEAD' });
      },
      ['log'],
    ],
  ];

describe('the answer to', () => {
  test.each(changes)('%s is sent when what it says is on the disk (I7, R37)', async (_, change, steps) => {
    const disk = new HeldDisk();
    const prepared = await registryOn(disk);
    await using registry = prepared.registry;
    disk.hold();
    const seen = await stepsBefore(change(prepared), disk, registry);
    disk.letGo();
    expect(seen.steps).toEqual([...steps]);
    expect([200, 201, 202]).toContain(seen.status);
  });
});

/** Starts something that waits for the disk's log, and says what it is once it does. */
async function underWay(disk: HeldDisk, change: Promise<Response>, until: Synced): Promise<Promise<Response>[]> {
  for (;;) {
    const waiting = await disk.waiting();
    if (waiting.includes(until)) return [change];
    disk.release();
  }
}

describe('while a push is not on the disk yet', () => {
  test('nobody else is told that its blob, its manifest or its tag is there', async () => {
    const disk = new HeldDisk();
    const prepared = await registryOn(disk);
    await using registry = prepared.registry;
    const bytes = freshBytes();
    const digest = digestOf(bytes);
    const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    const closing = `${session.headers.get('location') ?? ''}?digest=${digest}`;
    const close = async () => await registry.send(closing, { method: 'PUT', body: bytes });
    disk.hold();
    const [pushing] = await underWay(disk, close(), 'log');
    const asked = [
      registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'HEAD' }),
      registry.send(`/v2/${repo}/manifests/x`, { method: 'HEAD' }),
      // The same closing PUT again, as by a client that has given up waiting (R30).
      close(),
    ];
    let answered = 0;
    for (const each of asked) void each.then(() => answered++);
    for (let round = 0; round < 5; round++) await registry.send('/v2/');
    expect(answered).toBe(0);
    disk.letGo();
    expect((await Promise.all([pushing, ...asked])).map((answer) => answer?.status)).toEqual([201, 200, 200, 201]);
  });
});

describe('once a sync of the log has failed', () => {
  test('nothing is acknowledged, and nothing done, until a restart; pulls go on', async () => {
    const disk = new HeldDisk();
    const prepared = await registryOn(disk);
    await using registry = prepared.registry;
    disk.breakDown();
    expect((await registry.send(`/v2/${repo}/manifests/x`, { method: 'DELETE' })).status).toBe(503);
    const tags = registry.rows('select name from tag');

    const refused = await Promise.all([
      registry.putManifest(repo, 'y', prepared.manifest),
      registry.send(`/v2/${repo}/manifests/${prepared.digest}`, { method: 'DELETE' }),
      registry.send(`/v2/${repo}/blobs/${prepared.blob}`, { method: 'HEAD' }),
      registry.send(`/v2/${repo}/manifests/${prepared.digest}`, { method: 'HEAD' }),
      registry.send(`/v2/other/blobs/uploads/?mount=${prepared.blob}&from=${repo}`, { method: 'POST' }),
      registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' }),
      registry.send('/readyz'),
    ]);
    expect(refused.map((answer) => answer.status)).toEqual(refused.map(() => 503));
    expect(registry.rows('select name from tag')).toEqual(tags);
    expect((await registry.send(`/v2/${repo}/manifests/${prepared.digest}`)).status).toBe(200);
    expect((await registry.send(`/v2/${repo}/blobs/${prepared.blob}`)).status).toBe(200);
  });
});

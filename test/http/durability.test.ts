import { describe, expect, test } from 'bun:test';
import { testedBucket } from '../pairs/pair.ts';
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
      [testedBucket === undefined ? 'object+shard' : 'object', 'log'],
    ],
    [
      'a blob that is there already',
      async ({ registry, blob, config }) =>
        await registry.send(`/v2/other/blobs/uploads/?digest=${blob}`, { method: 'POST', body: config }),
      // The one request that a small blob takes comes before it is known what it is.
      testedBucket === undefined ? ['log'] : ['object', 'log'],
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
  /** Those that are told already, whatever could be answered without the disk. */
  async function told(registry: ServedRegistry, asked: readonly Promise<Response>[]): Promise<readonly number[]> {
    const statuses: number[] = [];
    for (const each of asked) void each.then(({ status }) => statuses.push(status));
    for (let round = 0; round < 5; round++) await registry.send('/v2/');
    return statuses;
  }

  test('nobody else is told that its blob is there', async () => {
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
      // The same closing PUT again, as by a client that has given up waiting (R30).
      close(),
    ];
    // They wait, or are told how it was before.
    expect((await told(registry, asked)).filter((status) => status !== 404)).toEqual([]);
    disk.letGo();
    const [first, , again] = await Promise.all([pushing, ...asked]);
    expect([first?.status, again?.status]).toEqual([201, 201]);
    expect((await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'HEAD' })).status).toBe(200);
  });

  test('nobody else is told that its manifest or its tag is there', async () => {
    const disk = new HeldDisk();
    const prepared = await registryOn(disk);
    await using registry = prepared.registry;
    const manifest = JSON.stringify({ ...imageOf(prepared.config), annotations: { its: 'own' } });
    disk.hold();
    const [pushing] = await underWay(disk, registry.putManifest(repo, 'y', manifest), 'log');
    const asked = ['y', digestOf(manifest)].map((reference) =>
      registry.send(`/v2/${repo}/manifests/${reference}`, { method: 'HEAD' }),
    );
    expect((await told(registry, asked)).filter((status) => status !== 404)).toEqual([]);
    disk.letGo();
    expect((await pushing)?.status).toBe(201);
    await Promise.all(asked);
    expect((await registry.send(`/v2/${repo}/manifests/y`)).status).toBe(200);
  });
});

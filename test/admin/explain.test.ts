import { describe, expect, test } from 'bun:test';
import { z } from 'zod';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { pushImage, pushIndex, remove } from './pushed-images.ts';

const repo = 'team/app';
const hour = 3_600_000;
const settings: Settings = {
  'windows.lease': '1h',
  'windows.trash': '72h',
  'windows.condemned': '10m',
  'windows.neverTagged': '30d',
};

const wouldFree = z.object({ bytes: z.number(), blobs: z.number(), manifests: z.number() });
const explanation = z.object({
  kind: z.string(),
  exists: z.boolean(),
  pin: z.object({ target: z.string(), reason: z.string() }).optional(),
  manifests: z.array(
    z.object({
      digest: z.string(),
      held: z.boolean(),
      holds: z.array(
        z.object({
          by: z.string(),
          name: z.string().optional(),
          until: z.string().optional(),
          held: z.boolean().optional(),
          reason: z.string().optional(),
        }),
      ),
      nextReview: z.string().optional(),
      wouldFree,
    }),
  ),
  wouldFree: wouldFree.optional(),
  inTrash: z.array(z.object({ digest: z.string(), until: z.string() })).optional(),
  objects: z.array(z.object({ state: z.string(), dueAt: z.string().optional() })).optional(),
  links: z.array(z.object({ repository: z.string(), deleted: z.boolean(), manifests: z.array(z.string()) })).optional(),
  events: z.array(z.object({ kind: z.string(), actor: z.string(), reason: z.string().optional() })),
});

async function explain(registry: ServedRegistry, target: string) {
  const answer = await registry.admin('GET', `/explain?target=${target}`);
  expect(answer.status).toBe(200);
  return explanation.parse(await answer.json());
}

function at(ms: number): string {
  return new Date(ms).toISOString();
}

describe('a manifest is explained', () => {
  test('by its tags, the indexes that list it, its pin, and what is in the trash', async () => {
    await using registry = await ServedRegistry.start(settings);
    const child = await pushImage(registry, repo, { tags: ['x', 'old'] });
    const index = await pushIndex(registry, repo, ['all'], child);
    const now = registry.clock.now();
    await remove(registry, repo, 'old');
    await registry.admin('POST', '/pins', { target: `${repo}@${child.digest}`, reason: 'audit' });
    const { manifests } = await explain(registry, `${repo}@${child.digest}`);
    expect(manifests[0]?.held).toBe(true);
    expect(manifests[0]?.holds).toEqual([
      { by: 'tag', name: 'x' },
      { by: 'pin', name: `${repo}@${child.digest}`, reason: 'audit' },
      { by: 'index', name: index.digest, held: true },
      { by: 'trashed-tag', name: 'old', until: at(now + 72 * hour) },
      { by: 'lease', until: at(now + hour) },
    ]);
  });

  test('that waits for its first tag, and one that belongs to another, by until when', async () => {
    await using registry = await ServedRegistry.start(settings);
    const subject = await pushImage(registry, repo);
    const referrer = await pushImage(registry, repo, { subject });
    const now = registry.clock.now();
    const waiting = (await explain(registry, `${repo}@${subject.digest}`)).manifests[0];
    expect(waiting?.held).toBe(false);
    expect(waiting?.holds).toEqual([
      { by: 'lease', until: at(now + hour) },
      { by: 'never-tagged', until: at(now + 30 * 24 * hour) },
    ]);
    const below = (await explain(registry, `${repo}@${referrer.digest}`)).manifests[0];
    expect(below?.holds[0]).toEqual({ by: 'subject', name: subject.digest, held: false });
  });
});

describe('a manifest is explained', () => {
  test('that was deleted, by until when it can be restored', async () => {
    await using registry = await ServedRegistry.start(settings);
    const image = await pushImage(registry, repo, { tags: ['x'] });
    await remove(registry, repo, image.digest);
    const until = at(registry.clock.now() + 72 * hour);
    const [found] = (await explain(registry, `${repo}@${image.digest}`)).manifests;
    expect(found?.held).toBe(false);
    expect(found?.holds).toEqual([
      { by: 'trash', until },
      { by: 'trashed-tag', name: 'x', until },
    ]);
    expect(found?.nextReview).toBe(at(registry.clock.now() + hour));
  });

  test('whose lease is over, by what keeps it beside the lease: the pin of its repository', async () => {
    await using registry = await ServedRegistry.start(settings);
    const image = await pushImage(registry, repo, { tags: ['x'] });
    await registry.admin('POST', '/pins', { target: repo, reason: 'audit' });
    registry.clock.advance(2 * hour);
    const [found] = (await explain(registry, `${repo}@${image.digest}`)).manifests;
    expect(found?.holds).toEqual([
      { by: 'tag', name: 'x' },
      { by: 'pin', name: repo, reason: 'audit' },
    ]);
  });

  test('by what happened to it in its own repository, not in another one', async () => {
    await using registry = await ServedRegistry.start(settings);
    const image = await pushImage(registry, repo, { tags: ['x'] });
    for (const blob of image.blobs) {
      await registry.send(`/v2/other/blobs/uploads/?mount=${blob}&from=${repo}`, { method: 'POST' });
    }
    expect((await registry.putManifest('other', 'x', image.manifest)).status).toBe(201);
    await remove(registry, 'other', 'x');
    expect((await explain(registry, `${repo}@${image.digest}`)).events.map(({ kind }) => kind)).toEqual([
      'tag.pushed',
      'manifest.pushed',
    ]);
    const other = await explain(registry, `other@${image.digest}`);
    expect(other.events.map(({ kind }) => kind)).toEqual(['tag.deleted', 'tag.pushed', 'manifest.pushed']);
    expect((await explain(registry, image.digest)).manifests).toHaveLength(2);
  });
});

test('a tag is explained by what it led to before and can be restored to', async () => {
  await using registry = await ServedRegistry.start(settings);
  const [before, now] = [
    await pushImage(registry, repo, { tags: ['x'] }),
    await pushImage(registry, repo, { tags: ['x'] }),
  ];
  const found = await explain(registry, `${repo}:x`);
  expect(found.manifests.map(({ digest }) => digest)).toEqual([now.digest]);
  expect(found.inTrash).toEqual([{ digest: before.digest, until: at(registry.clock.now() + 72 * hour) }]);
});

test('a blob that a client has deleted is explained as deleted where it was', async () => {
  await using registry = await ServedRegistry.start(settings);
  const blob = await registry.pushBlob(repo, freshBytes());
  await registry.send(`/v2/other/blobs/uploads/?mount=${blob}&from=${repo}`, { method: 'POST' });
  await registry.send(`/v2/${repo}/blobs/${blob}`, { method: 'DELETE' });
  expect((await explain(registry, blob)).links).toEqual([
    { repository: 'other', deleted: false, manifests: [] },
    { repository: repo, deleted: true, manifests: [] },
  ]);
});

test('a manifest is found by its digest alone behind however many repositories', async () => {
  await using registry = await ServedRegistry.start(settings);
  const image = await pushImage(registry, 'zoo', { tags: ['x'] });
  const [blob = ''] = image.blobs;
  for (let count = 0; count < 205; count++) {
    const path = `/v2/a/${String(count).padStart(3, '0')}/blobs/uploads/?mount=${blob}&from=zoo`;
    expect((await registry.send(path, { method: 'POST' })).status).toBe(201);
  }
  expect((await explain(registry, image.digest)).manifests.map(({ digest }) => digest)).toEqual([image.digest]);
});

describe('what deleting would free', () => {
  test('is nothing for one of two tags, and all of its own bytes for both', async () => {
    await using registry = await ServedRegistry.start(settings);
    const shared = freshBytes(1000);
    await pushImage(registry, repo, { tags: ['other'], layers: [shared] });
    const image = await pushImage(registry, repo, { tags: ['x', 'y'], layers: [shared] });
    const found = await explain(registry, `${repo}:x`);
    expect(found.wouldFree).toMatchObject({ bytes: 0, blobs: 0, manifests: 0 });
    expect(found.manifests[0]?.digest).toBe(image.digest);
    expect(found.manifests[0]?.wouldFree).toMatchObject({ bytes: 200, blobs: 2, manifests: 1 });
    await remove(registry, repo, 'y');
    expect((await explain(registry, `${repo}:x`)).wouldFree).toMatchObject({ bytes: 200, blobs: 2, manifests: 1 });
  });
});

describe('what is gone is explained', () => {
  test('by when, why and on whose word: a tag, a manifest and a blob', async () => {
    await using registry = await ServedRegistry.start(settings);
    const image = await pushImage(registry, repo, { tags: ['x'] });
    const blob = image.blobs[1] ?? '';
    await remove(registry, repo, 'x');
    const tag = await explain(registry, `${repo}:x`);
    expect(tag).toMatchObject({ kind: 'tag', exists: false, manifests: [] });
    expect(tag.events.map(({ kind }) => kind)).toEqual(['tag.deleted', 'tag.pushed']);
    expect(tag.events[0]?.actor).toStartWith('client 127.0.0.1 ');
    registry.clock.advance(72 * hour);
    await registry.collected();
    const manifest = await explain(registry, `${repo}@${image.digest}`);
    expect(manifest.exists).toBe(false);
    expect(manifest.events.map(({ kind }) => kind)).toEqual([
      'manifest.collected',
      'tag.deleted',
      'tag.pushed',
      'manifest.pushed',
    ]);
    expect(manifest.events[0]?.actor).toBe('collector');
    expect(manifest.events[0]?.reason).toStartWith('nothing holds it since ');
    const leaving = await explain(registry, blob);
    expect(leaving.exists).toBe(true);
    expect(leaving.objects).toEqual([{ state: 'condemned', dueAt: at(registry.clock.now() + 600_000) }]);
    expect(leaving.events.map(({ kind }) => kind)).toEqual(['blob.collected', 'link.collected', 'blob.pushed']);
    registry.clock.advance(600_000);
    await registry.collected();
    expect(await explain(registry, blob)).toMatchObject({ exists: false, objects: [], links: [] });
  });
});

test('a digest alone is explained wherever it is: the repositories that link a blob, and manifests', async () => {
  await using registry = await ServedRegistry.start(settings);
  const image = await pushImage(registry, repo, { tags: ['x'] });
  const blob = image.blobs[0] ?? '';
  await registry.send(`/v2/other/blobs/uploads/?mount=${blob}&from=${repo}`, { method: 'POST' });
  expect(await explain(registry, blob)).toMatchObject({
    kind: 'digest',
    exists: true,
    objects: [{ state: 'live' }],
    links: [
      { repository: 'other', manifests: [] },
      { repository: repo, manifests: [image.digest] },
    ],
  });
  const found = await explain(registry, image.digest);
  expect(found.manifests).toMatchObject([{ digest: image.digest, held: true }]);
});

test('a repository is explained by its pin and what happened to it as a whole', async () => {
  await using registry = await ServedRegistry.start(settings);
  await pushImage(registry, repo, { tags: ['x'] });
  await registry.admin('POST', '/pins', { target: repo, reason: 'audit' });
  const found = await explain(registry, repo);
  expect(found).toMatchObject({ kind: 'repository', exists: true, pin: { target: repo, reason: 'audit' } });
  expect(found.events.map(({ kind }) => kind)).toEqual(['pinned']);
  expect((await explain(registry, 'nobody/here')).exists).toBe(false);
});

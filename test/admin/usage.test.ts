import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { z } from 'zod';
import { digestOf, imageOf, indexOf, ociIndex, ociManifest } from '../http/content.ts';
import { until } from '../server/until.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { randomRuns } from '../pairs/random-runs.ts';
import { pushImage } from './pushed-images.ts';

const hour = 3_600_000;
const onlyTrash: Settings = {
  'windows.lease': '0',
  'windows.trash': '1h',
  'windows.condemned': '0',
  'windows.neverTagged': '0',
};

const bytes = z.number().int();
const whole = z.object({
  logicalBytes: bytes,
  sharedBytes: bytes,
  heldBytes: bytes,
  trashBytes: bytes,
  waitingBytes: bytes,
  toReclaimBytes: bytes,
  uploadBytes: bytes,
  totalBytes: bytes,
  onDiskBytes: bytes,
});
const part = z.object({ target: z.string(), logicalBytes: bytes, sharedBytes: bytes, uniqueBytes: bytes });
const parts = z.object({ parts: z.array(part), next: z.string().optional() });

/** One for all runs: each leaves it empty. */
let registry: ServedRegistry;
beforeAll(async () => {
  registry = await ServedRegistry.start(onlyTrash);
});
afterAll(async () => await registry[Symbol.asyncDispose]());

async function ask<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  return schema.parse(await (await registry.admin('GET', path)).json());
}

async function bytesOnDisk(): Promise<number> {
  return await registry.objects.totalBytes();
}

/** The windows of all that was deleted pass, also of what that releases. */
async function windowsPass(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    registry.clock.advance(hour);
    await registry.collected();
  }
}

const repos = ['a', 'b/c'] as const;
/** Of sizes whose sums tell which of them are in it. */
const blobs = Array.from({ length: 7 }, (_, index) => new Uint8Array(2 ** index).fill(index + 1));

/** A manifest to push: blobs by number, what it lists or is about by the number of an earlier one, how it is tagged. */
interface Plan {
  readonly repo: 0 | 1;
  readonly blobs: readonly number[];
  readonly earlier: number;
  readonly shape: 'image' | 'index' | 'referrer' | 'signature';
  readonly tag: number | undefined;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  repo: fc.constantFrom(0 as const, 1 as const),
  blobs: fc.uniqueArray(fc.nat({ max: blobs.length - 1 }), { minLength: 1, maxLength: 3 }),
  earlier: fc.nat({ max: 7 }),
  shape: fc.constantFrom('image', 'image', 'index', 'referrer', 'signature'),
  tag: fc.option(fc.nat({ max: 3 }), { nil: undefined, freq: 3 }),
});

interface Pushed {
  readonly text: string;
  readonly digest: string;
}

async function push(plans: readonly Plan[]): Promise<void> {
  const pushed: Record<string, Pushed[]> = {};
  for (const [number, { repo: repoNumber, blobs: numbers, earlier, shape, tag }] of plans.entries()) {
    const repo = repos[repoNumber];
    const before = (pushed[repo] ??= []);
    const target = before[earlier % Math.max(before.length, 1)];
    const needed = numbers.flatMap((each) => blobs[each] ?? []);
    await Promise.all(needed.map(async (blob) => await registry.pushBlob(repo, blob)));
    const [config = new Uint8Array(), ...layers] = needed;
    const listed = shape === 'index' && target !== undefined ? target : undefined;
    const about = shape === 'referrer' && target !== undefined ? { subject: subjectOf(target) } : {};
    const body = listed === undefined ? { ...imageOf(config, ...layers), ...about } : indexOf(listed.text);
    const text = JSON.stringify({ ...body, annotations: { number: String(number) } });
    const digest = digestOf(text);
    const signed = shape === 'signature' && target !== undefined ? target.digest : undefined;
    const name = signed === undefined ? tag?.toString() : `${signed.replace(':', '-')}.sig`;
    const mediaType = listed === undefined ? ociManifest : ociIndex;
    const answer = await registry.putManifest(repo, name ?? digest, text, mediaType);
    expect(answer.status).toBe(201);
    before.push({ text, digest });
  }
  await registry.copiesGone();
}

function subjectOf({ digest, text }: Pushed) {
  return { mediaType: ociManifest, digest, size: text.length };
}

async function tagsThere(): Promise<{ repo: string; name: string }[]> {
  return registry.rows<{ repo: string; name: string }>('select repo, name from tag order by repo, name');
}

async function remove({ repo, name }: { repo: string; name: string }): Promise<void> {
  expect((await registry.send(`/v2/${repo}/manifests/${name}`, { method: 'DELETE' })).status).toBe(202);
}

/** What each part says of itself is what deleting it then frees, and the parts of the whole are what is on the disk. */
async function expectTrueFigures(order: readonly number[]): Promise<void> {
  for (const choice of order) {
    await windowsPass();
    const there = await tagsThere();
    const chosen = there[choice % Math.max(there.length, 1)];
    if (chosen === undefined) return;
    const figures = await ask(`/usage/part?target=${chosen.repo}:${chosen.name}`, part);
    const before = await bytesOnDisk();
    expect(await ask('/usage', whole)).toMatchObject({ heldBytes: before, totalBytes: before, onDiskBytes: before });
    await remove(chosen);
    await windowsPass();
    expect(before - (await bytesOnDisk())).toBe(figures.uniqueBytes);
    expect(figures.logicalBytes).toBe(figures.sharedBytes + figures.uniqueBytes);
  }
}

async function empty(): Promise<void> {
  for (const tag of await tagsThere()) await remove(tag);
  await windowsPass();
  expect(await bytesOnDisk()).toBe(0);
}

test('what is unique to a tag is exactly what deleting it frees, in any registry', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(plan, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 4 }),
      async (plans, order) => {
        await push(plans);
        await expectTrueFigures(order);
        await empty();
      },
    ),
    { numRuns: randomRuns(40) },
  );
}, 120_000);

test('held, in the trash, waiting, to reclaim and being uploaded add up to what is on the disk', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(plan, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 4 }),
      async (plans, order) => {
        await push(plans);
        for (const choice of order) {
          const there = await tagsThere();
          const chosen = there[choice % Math.max(there.length, 1)];
          if (chosen !== undefined) await remove(chosen);
          const sums = await ask('/usage', whole);
          expect(sums.totalBytes).toBe(await bytesOnDisk());
          expect(sums.onDiskBytes).toBe(sums.totalBytes);
          expect(sums.totalBytes).toBe(
            sums.heldBytes + sums.trashBytes + sums.waitingBytes + sums.toReclaimBytes + sums.uploadBytes,
          );
          expect(sums.logicalBytes).toBe(sums.heldBytes + sums.sharedBytes);
          const repositories = (await ask('/usage/parts', parts)).parts;
          const logical = repositories.reduce((sum, { logicalBytes }) => sum + logicalBytes, 0);
          expect(logical).toBe(sums.logicalBytes);
        }
        // What is not held now is what goes when nobody does anything more.
        const { heldBytes } = await ask('/usage', whole);
        await windowsPass();
        expect(await bytesOnDisk()).toBe(heldBytes);
        await empty();
      },
    ),
    { numRuns: randomRuns(30) },
  );
}, 120_000);

/** Deletes a tag, or by its digest what it leads to, unless an index lists that. */
async function removeTagOrManifest(choice: number): Promise<void> {
  const there = registry.rows<{ repo: string; name: string; manifest: string }>(
    'select * from tag order by repo, name',
  );
  const chosen = there[choice % Math.max(there.length, 1)];
  if (chosen === undefined) return;
  const reference = choice % 2 === 0 ? chosen.name : chosen.manifest;
  const answer = await registry.send(`/v2/${chosen.repo}/manifests/${reference}`, { method: 'DELETE' });
  expect([202, 409]).toContain(answer.status);
}

test('what a pin holds is held: a manifest, what a repository led to, a tag about what is gone', async () => {
  const pinned: string[] = [];
  const pin = async (target: string): Promise<void> => {
    pinned.push(target);
    expect((await registry.admin('POST', '/pins', { target, reason: 'audit' })).status).toBe(200);
  };
  const held = async (): Promise<number> => (await ask('/usage', whole)).heldBytes;

  const manifest = await pushImage(registry, 'a', { tags: ['x'] });
  await pin(`a@${manifest.digest}`);
  await remove({ repo: 'a', name: 'x' });
  expect(await held()).toBe(200);

  await pushImage(registry, 'b/c', { tags: ['x'] });
  await pin('b/c');
  await pushImage(registry, 'b/c', { tags: ['x'] });
  expect(await held()).toBe(600);

  const subject = await pushImage(registry, 'd', { tags: ['x'] });
  const about = `${subject.digest.replace(':', '-')}.sig`;
  await pushImage(registry, 'd', { tags: [about] });
  await pin(`d:${about}`);
  await remove({ repo: 'd', name: 'x' });
  expect(await held()).toBe(800);
  expect((await emptyTrash(undefined, true))?.bytes).toBe(200);

  await emptyTrash(undefined, false);
  await windowsPass();
  expect(await bytesOnDisk()).toBe(800);
  for (const target of pinned) expect((await registry.admin('DELETE', `/pins?target=${target}`)).status).toBe(200);
  expect(await held()).toBe(400);
  await empty();
});

test('what a repository shares, and what only its own trash keeps, is told beside what is unique to it', async () => {
  const sizes = async (repo: string) =>
    await ask(
      `/usage/part?target=${repo}`,
      z.object({ logicalBytes: bytes, sharedBytes: bytes, uniqueBytes: bytes, trashBytes: bytes, waitingBytes: bytes }),
    );
  const shared = await pushImage(registry, 'a', { tags: ['x'] });
  for (const blob of shared.blobs) {
    await registry.send(`/v2/b/c/blobs/uploads/?mount=${blob}&from=a`, { method: 'POST' });
  }
  await registry.putManifest('b/c', 'x', shared.manifest);
  await pushImage(registry, 'a', { tags: ['own'] });
  const none = { trashBytes: 0, waitingBytes: 0 };
  expect(await sizes('a')).toEqual({ logicalBytes: 400, sharedBytes: 200, uniqueBytes: 200, ...none });
  expect(await sizes('b/c')).toEqual({ logicalBytes: 200, sharedBytes: 200, uniqueBytes: 0, ...none });
  expect((await ask('/usage', whole)).sharedBytes).toBe(200);
  for (const name of ['x', 'own']) await remove({ repo: 'a', name });
  expect(await sizes('a')).toEqual({
    logicalBytes: 0,
    sharedBytes: 0,
    uniqueBytes: 0,
    trashBytes: 200,
    waitingBytes: 0,
  });
  expect(await sizes('b/c')).toEqual({ logicalBytes: 200, sharedBytes: 0, uniqueBytes: 200, ...none });
  await empty();
});

test('bytes of an open upload count, and what lies on the disk is measured there', async () => {
  const session = await registry.send('/v2/a/blobs/uploads/', { method: 'POST' });
  const location = session.headers.get('location') ?? '';
  await registry.send(location, { method: 'PATCH', body: new Uint8Array(70) });
  await registry.pushBlob('a', new Uint8Array(30).fill(1));
  expect(await ask('/usage', whole)).toMatchObject({
    uploadBytes: 70,
    waitingBytes: 30,
    totalBytes: 100,
    onDiskBytes: 100,
  });
  const [name = ''] = registry
    .rows<{ oid: string }>("select oid from object where state = 'live'")
    .map(({ oid }) => oid);
  await registry.objects.cut(name, 10);
  expect(await ask('/usage', whole)).toMatchObject({ totalBytes: 100, onDiskBytes: 80 });
  await registry.send(location, { method: 'DELETE' });
  await until('the upload is gone', () => registry.rows("select 1 from object where state <> 'live'").length === 0);
  await empty();
});

const emptying = z.object({ wouldFree: z.object({ bytes, blobs: bytes }).optional() });

async function emptyTrash(target: string | undefined, dryRun: boolean) {
  const answer = await registry.admin('POST', '/trash/empty', { ...(target !== undefined && { target }), dryRun });
  return emptying.parse(await answer.json()).wouldFree;
}

/** What names something in the trash: all, repositories, tags and manifests. */
function targetsInTrash(): (string | undefined)[] {
  const tags = registry.rows<{ repo: string; name: string; manifest: string }>('select * from tag_trash');
  const manifests = registry.rows<{ repo: string; digest: string }>(
    "select repo, digest from manifest where state = 'trashed' order by repo, digest",
  );
  return [
    undefined,
    ...repos,
    ...tags.flatMap(({ repo, name, manifest }) => [`${repo}:${name}`, `${repo}:${name}@${manifest}`]),
    ...manifests.map(({ repo, digest }) => `${repo}@${digest}`),
  ];
}

test('what emptying the trash, or a part of it, is said to free is exactly what it frees', async () => {
  let freedSomething = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(plan, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 4 }),
      async (plans, deletions, emptyings) => {
        await push(plans);
        // Only what was deleted and what is held stays.
        await windowsPass();
        for (const choice of deletions) await removeTagOrManifest(choice);
        await registry.collected();
        expect((await emptyTrash(undefined, true))?.bytes).toBe((await ask('/usage', whole)).trashBytes);
        for (const choice of emptyings) {
          const targets = targetsInTrash();
          const target = targets[choice % targets.length];
          const said = await emptyTrash(target, true);
          const before = await bytesOnDisk();
          await emptyTrash(target, false);
          await registry.collected();
          const freed = before - (await bytesOnDisk());
          expect({ target, freed }).toEqual({ target, freed: said?.bytes ?? -1 });
          if (freed > 0) freedSomething++;
        }
        await empty();
      },
    ),
    { numRuns: randomRuns(40) },
  );
  expect(freedSomething).toBeGreaterThan(0);
}, 120_000);

test('a referrer that was deleted by itself is not kept by its subject in the trash', async () => {
  const subject = await pushImage(registry, 'a', { tags: ['x'] });
  const referrer = await pushImage(registry, 'a', { subject });
  for (const reference of [referrer.digest, 'x']) {
    expect((await registry.send(`/v2/a/manifests/${reference}`, { method: 'DELETE' })).status).toBe(202);
  }
  const target = `a@${referrer.digest}`;
  expect(await emptyTrash(target, true)).toEqual({ bytes: 200, blobs: 2 });
  await emptyTrash(target, false);
  await registry.collected();
  expect(await bytesOnDisk()).toBe(200);
  await empty();
});

test('whoever accepts lines hears how far a long answer has come before it', async () => {
  const token = (await Bun.file(join(registry.dataDirectory, 'admin.token')).text()).trim();
  const headers = { authorization: `Bearer ${token}`, accept: 'application/x-ndjson' };
  const answer = await registry.send('/admin/v1/usage', { headers });
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
  const lines = (await answer.text()).trimEnd().split('\n');
  expect(z.object({ answer: whole }).parse(JSON.parse(lines.at(-1) ?? '')).answer).toEqual(await ask('/usage', whole));
  const refused = await registry.send('/admin/v1/usage/part?target=nobody/here', { headers });
  expect(JSON.parse(await refused.text())).toMatchObject({ errors: [{ code: 'NAME_UNKNOWN' }] });
});

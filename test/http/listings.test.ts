import { afterAll, beforeAll, expect, test } from 'bun:test';
import { z } from 'zod';
import { digestOf, freshBytes, imageOf } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

let registry: ServedRegistry;

const tags = ['0', 'B', '_', 'a', 'a.b', 'b', 'b-1', 'latest'];
const repositories = ['apps/api', 'apps/web', 'base', 'zeta/a/b/c'];

beforeAll(async () => {
  registry = await ServedRegistry.start();
  for (const repository of repositories) {
    const config = freshBytes();
    await registry.pushBlob(repository, config);
    // Pushed in another order than the one in which they are listed.
    for (const tag of tags.toReversed()) {
      expect((await registry.putManifest(repository, tag, imageOf(config))).status).toBe(201);
    }
  }
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

const listSchema = z.object({ tags: z.array(z.string()).default([]), repositories: z.array(z.string()).default([]) });

async function list(path: string): Promise<{ readonly items: readonly string[]; readonly next: string | undefined }> {
  const answer = await registry.send(path);
  expect(answer.status).toBe(200);
  const body = listSchema.parse(await answer.json());
  const link = answer.headers.get('link');
  const next = link === null ? undefined : /^<([^>]+)>; rel="next"$/.exec(link)?.[1];
  if (link !== null) expect(next).toBeDefined();
  return { items: [...body.tags, ...body.repositories], next };
}

/** Follows the Link headers from a first page to the end. */
async function pages(path: string): Promise<string[][]> {
  const found: string[][] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const page = await list(next);
    found.push([...page.items]);
    next = page.next;
  }
  return found;
}

test('lists tags and repositories in byte order', async () => {
  const answer = await registry.send('/v2/base/tags/list');
  expect(answer.headers.get('content-type')).toBe('application/json');
  expect(await answer.json()).toEqual({ name: 'base', tags });
  expect(await (await registry.send('/v2/_catalog')).json()).toEqual({ repositories });
});

test('lists them in pages that follow each other by Link, each item once', async () => {
  expect(await pages('/v2/base/tags/list?n=3')).toEqual([tags.slice(0, 3), tags.slice(3, 6), tags.slice(6)]);
  expect(await pages('/v2/base/tags/list?n=4')).toEqual([tags.slice(0, 4), tags.slice(4)]);
  expect(await pages('/v2/_catalog?n=3')).toEqual([repositories.slice(0, 3), repositories.slice(3)]);
});

test('goes on after an item that does not exist', async () => {
  expect((await list('/v2/base/tags/list?last=a.a')).items).toEqual(['a.b', 'b', 'b-1', 'latest']);
  expect((await list('/v2/base/tags/list?last=zzz')).items).toEqual([]);
  expect((await list('/v2/_catalog?last=apps/c&n=1')).items).toEqual(['apps/web']);
});

test('gives an empty page to somebody who asks for none, and the most to somebody who asks for more', async () => {
  for (const path of ['/v2/base/tags/list', '/v2/_catalog']) {
    expect(await list(`${path}?n=0`)).toEqual({ items: [], next: undefined });
    expect((await list(`${path}?n=999999999999`)).next).toBeUndefined();
  }
});

test('refuses a number of items that is none', async () => {
  for (const n of ['-1', 'x', '1.5', '1e3', '']) {
    for (const path of ['/v2/base/tags/list', '/v2/_catalog', `/v2/base/referrers/${digestOf('')}`]) {
      const refusal = await expectRefusal(await registry.send(`${path}?n=${n}`), 400, 'UNSUPPORTED');
      expect(refusal.detail).toEqual({ n });
    }
  }
});

test('knows no tags of a repository that nobody has pushed to', async () => {
  const refusal = await expectRefusal(await registry.send('/v2/nobody/tags/list'), 404, 'NAME_UNKNOWN');
  expect(refusal.detail).toEqual({ repository: 'nobody' });
});

test('leaves a repository out of the catalog in which nothing can be seen, while its tags stay listable', async () => {
  const config = freshBytes();
  await registry.pushBlob('empty', config);
  expect((await list('/v2/_catalog')).items).not.toContain('empty');
  expect((await list('/v2/empty/tags/list')).items).toEqual([]);

  const manifest = JSON.stringify(imageOf(config));
  await registry.putManifest('empty', 'x', manifest);
  expect((await list('/v2/_catalog')).items).toContain('empty');
  await registry.send(`/v2/empty/manifests/${digestOf(manifest)}`, { method: 'DELETE' });
  expect((await list('/v2/_catalog')).items).not.toContain('empty');
});

test('refuses names that no repository can have, and says what is wrong', async () => {
  for (const name of ['UPPER', 'a//b', '-a', 'a-', 'a'.repeat(256), 'a/../b%2f', 'ä']) {
    const refusal = await expectRefusal(
      await registry.send(`/v2/${encodeURIComponent(name)}/tags/list`),
      400,
      'NAME_INVALID',
    );
    expect(refusal.message.length).toBeGreaterThan(20);
  }
});

test('orders repositories by the bytes of their whole names, separators and all, over pages too', async () => {
  const names = ['a__b', 'a-b', 'a.b/c', 'a/b'];
  await using own = await ServedRegistry.start();
  const config = freshBytes();
  for (const name of names) {
    await own.pushBlob(name, config);
    await own.putManifest(name, 'x', imageOf(config));
  }
  const found: unknown[] = [];
  for (let next: string | undefined = '/v2/_catalog?n=1'; next !== undefined;) {
    const answer = await own.send(next);
    found.push(...listSchema.parse(await answer.json()).repositories);
    next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
  }
  expect(found).toEqual(names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
});

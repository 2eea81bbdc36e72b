import { describe, expect, test } from 'bun:test';
import { z } from 'zod';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { isWhole, pushImage, pushIndex, remove } from './pushed-images.ts';

const repo = 'team/app';
const hour = 3_600_000;
const atOnce: Settings = {
  'windows.lease': '0',
  'windows.trash': '0',
  'windows.condemned': '0',
  'windows.neverTagged': '0',
};

const listing = z.object({
  pins: z.array(z.object({ target: z.string(), reason: z.string(), pinnedBy: z.string(), pinnedAt: z.string() })),
  next: z.string().optional(),
});

async function pin(registry: ServedRegistry, target: string): Promise<void> {
  const answer = await registry.admin('POST', '/pins', { target, reason: 'audit 2030' });
  expect(answer.status).toBe(200);
}

async function unpin(registry: ServedRegistry, target: string): Promise<void> {
  expect((await registry.admin('DELETE', `/pins?target=${target}`)).status).toBe(200);
}

async function expectDenied(answer: Response, target: string): Promise<void> {
  const refusal = await expectRefusal(answer, 403, 'DENIED');
  expect(refusal.message).toContain(`${target} is pinned (audit 2030)`);
  expect(refusal.detail).toMatchObject({ pin: target, reason: 'audit 2030' });
}

describe('a pinned tag', () => {
  test('cannot be deleted, nor moved, nor its manifest deleted, until the pin is taken away', async () => {
    await using registry = await ServedRegistry.start();
    const image = await pushImage(registry, repo, { tags: ['x', 'y'] });
    const other = await pushImage(registry, repo);
    await pin(registry, `${repo}:x`);
    const move = async () => await registry.putManifest(repo, 'x', other.manifest);
    await expectDenied(await remove(registry, repo, 'x'), `${repo}:x`);
    await expectDenied(await remove(registry, repo, image.digest), `${repo}:x`);
    await expectDenied(await move(), `${repo}:x`);
    expect(await isWhole(registry, repo, 'x', image)).toBe(true);

    expect((await registry.putManifest(repo, 'x', image.manifest)).status).toBe(201);
    expect((await remove(registry, repo, 'y')).status).toBe(202);
    await unpin(registry, `${repo}:x`);
    expect((await move()).status).toBe(201);
    expect((await remove(registry, repo, 'x')).status).toBe(202);
  });

  test('about a subject stays when the subject goes, and what it leads to', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    const subject = await pushImage(registry, repo, { tags: ['x'] });
    const tag = `${subject.digest.replace(':', '-')}.sig`;
    const signature = await pushImage(registry, repo, { tags: [tag] });
    await pin(registry, `${repo}:${tag}`);
    await remove(registry, repo, 'x');
    await registry.collected();
    expect(await isWhole(registry, repo, tag, signature)).toBe(true);
  });
});

describe('a pinned manifest', () => {
  test('cannot be deleted, and is kept without any tag, with its children', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    const child = await pushImage(registry, repo);
    const index = await pushIndex(registry, repo, ['x'], child);
    await pin(registry, `${repo}@${index.digest}`);
    await expectDenied(await remove(registry, repo, index.digest), `${repo}@${index.digest}`);
    expect((await remove(registry, repo, 'x')).status).toBe(202);
    registry.clock.advance(1000 * hour);
    await registry.collected();
    expect(await isWhole(registry, repo, index.digest, index)).toBe(true);
  });

  test('goes once its pin is taken away, where nothing else holds it', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    const image = await pushImage(registry, repo, { tags: ['x'] });
    await pin(registry, `${repo}@${image.digest}`);
    await remove(registry, repo, 'x');
    await registry.collected();
    expect(await registry.objectFiles()).toHaveLength(2);
    await unpin(registry, `${repo}@${image.digest}`);
    await registry.collected();
    expect(await registry.objectFiles()).toEqual([]);
  });
});

describe('a pinned repository', () => {
  test('loses no tag and no manifest by a delete, but its tags can be moved on', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    const image = await pushImage(registry, repo, { tags: ['x'] });
    await pin(registry, repo);
    await expectDenied(await remove(registry, repo, 'x'), repo);
    await expectDenied(await remove(registry, repo, image.digest), repo);
    await pushImage(registry, repo, { tags: ['x'] });
    registry.clock.advance(1000 * hour);
    await registry.collected();
    expect(await isWhole(registry, repo, image.digest, image)).toBe(true);
  });

  test('gives free what nothing else holds once its pin is taken away', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    await pushImage(registry, repo, { tags: ['x'] });
    await pin(registry, repo);
    const after = await pushImage(registry, repo, { tags: ['x'] });
    await registry.collected();
    expect(await registry.objectFiles()).toHaveLength(4);
    await unpin(registry, repo);
    await registry.collected();
    expect(await registry.objectFiles()).toHaveLength(2);
    expect(await isWhole(registry, repo, 'x', after)).toBe(true);
  });

  test('has what only its pin holds looked at now and then, not for ever put aside', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    await pushImage(registry, repo, { tags: ['x'] });
    await pin(registry, repo);
    await pushImage(registry, repo, { tags: ['x'] });
    await registry.collected();
    const waiting = registry.rows<{ due_at: number }>("select due_at from task where kind = 'manifest'");
    expect(waiting).toEqual([{ due_at: registry.clock.now() + hour }]);
  });
});

describe('what is pinned', () => {
  test('is listed in pages, with why and by whom', async () => {
    await using registry = await ServedRegistry.start();
    const image = await pushImage(registry, repo, { tags: ['x'] });
    for (const target of [repo, `${repo}:x`, `${repo}@${image.digest}`]) await pin(registry, target);
    const listed: z.output<typeof listing>['pins'] = [];
    let after = '';
    for (let page = 0; page < 4; page++) {
      const { pins, next } = listing.parse(await (await registry.admin('GET', `/pins?n=1${after}`)).json());
      listed.push(...pins);
      if (next === undefined) break;
      after = `&after=${next}`;
    }
    const pinnedAt = new Date(registry.clock.now()).toISOString();
    expect(listed.map(({ target, reason, pinnedAt: at }) => ({ target, reason, pinnedAt: at }))).toEqual(
      [`${repo}@${image.digest}`, repo, `${repo}:x`].map((target) => ({ target, reason: 'audit 2030', pinnedAt })),
    );
    for (const { pinnedBy } of listed) expect(pinnedBy).toStartWith('admin 127.0.0.1 ');
  });

  test('is remembered with the reason, and so is that the pin went', async () => {
    await using registry = await ServedRegistry.start();
    await pushImage(registry, repo, { tags: ['x'] });
    await pin(registry, `${repo}:x`);
    await unpin(registry, `${repo}:x`);
    expect(registry.rows("select kind, repo, tag, reason from event where kind like '%pinned' order by id")).toEqual([
      { kind: 'pinned', repo, tag: 'x', reason: 'audit 2030' },
      { kind: 'unpinned', repo, tag: 'x', reason: 'audit 2030' },
    ]);
  });

  test.each([
    ['nothing/here', 'NAME_UNKNOWN'],
    [`${repo}:gone`, 'MANIFEST_UNKNOWN'],
    [`${repo}@sha256:${'0'.repeat(64)}`, 'MANIFEST_UNKNOWN'],
  ])('must be there: %s is refused', async (target, code) => {
    await using registry = await ServedRegistry.start();
    await pushImage(registry, repo, { tags: ['x'] });
    await expectRefusal(await registry.admin('POST', '/pins', { target, reason: 'why not' }), 404, code);
    await expectRefusal(await registry.admin('DELETE', `/pins?target=${repo}`), 404, 'MANIFEST_UNKNOWN');
  });
});

import { describe, expect, test } from 'bun:test';
import { checkEverything } from '../../src/http/admin/fsck.ts';
import { freshBytes } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { askForLines, linesOf } from './asked-lines.ts';
import { pushImage } from './pushed-images.ts';

const repo = 'team/app';
const day = 24 * 3_600_000;

const begin = async (registry: ServedRegistry, body: object, signal?: AbortSignal) =>
  await askForLines(registry, '/fsck', body, signal);

/** What a check says in the end, and what it has found. */
async function checked(registry: ServedRegistry, body: object = {}) {
  const lines = await Array.fromAsync(linesOf(checkEverything, await begin(registry, body)));
  const found = lines.flatMap((line) => ('finding' in line ? [line.finding] : []));
  const [counts] = lines.flatMap((line) => ('counts' in line ? [line.counts] : []));
  return { counts, found: found.map(({ code, about, isRepaired }) => ({ code, about, isRepaired })), all: found };
}

/** A registry with a leak of each kind that can be repaired. */
async function leaking(): Promise<{ registry: ServedRegistry; orphan: string }> {
  const registry = await ServedRegistry.start();
  await pushImage(registry, repo, { tags: ['kept'] });
  await registry.pushBlob(repo, freshBytes());
  await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  registry.tables.change("delete from task where kind = 'link'");
  registry.tables.change(
    "delete from task where kind = 'upload' and key1 in (select id from upload where state = 'open')",
  );
  registry.tables.change("insert into object (oid, state) values ('0123', 'pending')");
  const orphan = 'ab'.repeat(16);
  // By the registry's clock it is old already.
  await registry.objects.write(orphan, 'nobody has it');
  return { registry, orphan };
}

describe('a server checks its own data directory', () => {
  test('and says that nothing is wrong where nothing is', async () => {
    await using registry = await ServedRegistry.start();
    await pushImage(registry, repo, { tags: ['x'] });
    expect(await checked(registry)).toMatchObject({
      found: [],
      counts: { loss: 0, leak: 0, note: 0, repaired: 0 },
    });
  });

  test('and repairs what leaks while it runs, which lets the collector take it away', async () => {
    const { registry, orphan } = await leaking();
    await using _ = registry;
    const before = await checked(registry, { repair: true, dryRun: true });
    expect(before.counts).toEqual({ loss: 0, leak: 4, note: 0, repaired: 0 });
    expect(before.all.every(({ isRepairable }) => isRepairable)).toBe(true);
    expect(await registry.objects.has(orphan)).toBe(true);
    expect((await checked(registry)).found).toEqual(before.found);

    const repaired = await checked(registry, { repair: true });
    expect(repaired.found.map(({ code, about }) => [code, about])).toEqual(
      before.found.map(({ code, about }) => [code, about]),
    );
    expect(repaired.counts).toEqual({ loss: 0, leak: 4, note: 0, repaired: 4 });
    expect(await registry.objects.has(orphan)).toBe(false);
    await until(
      'what was given up is forgotten',
      () => registry.rows("select 1 from object where oid = '0123'").length === 0,
    );
    expect((await checked(registry)).found).toEqual([]);
    for (let round = 0; round < 2; round++) {
      registry.clock.advance(30 * day);
      await registry.collected();
    }
    expect(await registry.objectFiles()).toHaveLength(2);
  });

  test('and puts damaged blobs into quarantine, but not where it only says what it would do', async () => {
    await using registry = await ServedRegistry.start();
    const digest = await registry.pushBlob(repo, freshBytes());
    const [name = ''] = await registry.objectFiles();
    await registry.objects.write(name, freshBytes());
    const damaged = [{ code: 'F1' as const, about: `object ${name}`, isRepaired: false }];
    expect((await checked(registry)).found).toEqual([]);
    expect((await checked(registry, { rehash: {}, dryRun: true })).found).toEqual(damaged);
    expect((await registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(200);
    expect((await checked(registry, { rehash: {} })).found).toEqual(damaged);
    expect((await registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(404);
    expect(await registry.objects.quarantined()).toEqual([name]);
  });

  test('one check at a time, and says meanwhile how far it has come', async () => {
    await using registry = await ServedRegistry.start();
    await registry.pushBlob(repo, freshBytes(10_000));
    const slow = { rehash: { bytesPerSecond: 1 } };
    const lines = linesOf(checkEverything, await begin(registry, slow));
    await expectRefusal(await begin(registry, {}), 409, 'DENIED');
    for await (const line of lines) {
      expect(line).toHaveProperty('progress');
      if ('progress' in line && line.progress.name === 'bytes of blobs') break;
    }
    // Whoever listened has gone, so the check has ended.
    await until('another one can begin', async () => (await begin(registry, {})).status === 200);
  });

  test('and breaks it off where the server is asked to end', async () => {
    await using registry = await ServedRegistry.start();
    await registry.pushBlob(repo, freshBytes(10_000));
    const lines = Array.fromAsync(linesOf(checkEverything, await begin(registry, { rehash: { bytesPerSecond: 1 } })));
    await registry.stop();
    expect((await lines).at(-1)).toMatchObject({
      errors: [{ code: 'UNAVAILABLE', message: 'the check was broken off' }],
    });
  });

  test('and says why it cannot look', async () => {
    await using registry = await ServedRegistry.start();
    await registry.pushBlob(repo, freshBytes());
    registry.tables.becomeNewer();
    const lines = await Array.fromAsync(linesOf(checkEverything, await begin(registry, {})));
    expect(JSON.stringify(lines.at(-1))).toContain('has schema 1000');
  });
});

test('a check is refused where no number makes sense of its request', async () => {
  await using registry = await ServedRegistry.start();
  for (const rehash of [{ bytesPerSecond: 0 }, { from: 'xyz' }, { rate: '1KiB' }]) {
    await expectRefusal(await begin(registry, { rehash }), 400, 'UNSUPPORTED');
  }
});

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { indexOf, imageOf, ociIndex, ociManifest, digestOf as sha256 } from '../../test/http/content.ts';
import { TestedStores } from '../../test/pairs/tested-stores.ts';
import { ManualClock } from '../../test/server/manual-clock.ts';
import { createLog } from '../log/log.ts';
import { first } from '../metadata/operation.ts';
import { manifestTimes } from '../metadata/queries/holds.ts';
import { prunedBetween } from '../metadata/queries/pruned-hours.ts';
import { type Digest, parseDigest } from '../oci/digest.ts';
import { parseRepositoryName, parseTagName, type TagName } from '../oci/names.ts';
import { openStores, type Stores } from '../stores/stores.ts';
import { registryOf } from '../server/registry-of.ts';
import { anyClient } from './actor.ts';
import { getManifest, headManifestForPush } from './manifests/get.ts';
import { putManifest } from './manifests/put.ts';
import { deleteManifest, removeTag } from './manifests/delete.ts';
import { pin, unpin } from './pin.ts';
import { unconditional } from './precondition.ts';
import type { Registry } from './registry.ts';
import { restore } from './trash/restore.ts';
import { changesNow, prunedHourMs, type Retirable, retire, type RetireOutcome } from './retire.ts';

const repo = known(parseRepositoryName('app'));
const clock = new ManualClock();
let tested: TestedStores;
let stores: Stores;
let registry: Registry;

beforeEach(async () => {
  tested = new TestedStores('retire');
  const config = await tested.config({ 'manifests.sparse': 'allow' });
  const log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
  stores = await openStores(config, log, { clock });
  registry = registryOf({
    stores,
    config,
    clock,
    log,
    traffic: { pulled: () => undefined, pushed: () => undefined },
    retention: { lookAfterMs: () => 10_000, heedsPulls: () => false, heedsMoves: () => true },
  });
});
afterEach(async () => {
  await stores.close();
  await tested[Symbol.asyncDispose]();
});

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('it is one');
  return value;
}

const tag = (name: string): TagName => known(parseTagName(name));

async function push(
  text: string,
  options: { readonly tags?: readonly string[]; readonly type?: string } = {},
): Promise<Digest> {
  const digest = known(parseDigest(sha256(text)));
  const outcome = await putManifest(registry, {
    repo,
    reference: { kind: 'digest', digest },
    tags: (options.tags ?? []).map(tag),
    precondition: unconditional,
    bytes: new TextEncoder().encode(text),
    contentType: options.type ?? ociManifest,
  });
  expect(outcome.outcome).toBe('created');
  return digest;
}

const image = (name: string): string => JSON.stringify({ ...imageOf(new TextEncoder().encode(name)) });

/** What was just pushed and never pulled, as it is judged. */
function judged(digest: Digest, name?: string): Retirable {
  const now = clock.now();
  const tagName = name === undefined ? undefined : tag(name);
  return {
    tag: tagName,
    digest,
    pushedAt: now,
    taggedAt: tagName === undefined ? null : now,
    pulledAt: null,
    reason: 'old',
    freesBytes: 7,
  };
}

async function retired(...items: readonly Retirable[]): Promise<RetireOutcome> {
  return await retire(registry, { repo, items, actor: anyClient });
}

async function becomesOf(item: Retirable): Promise<string | undefined> {
  const outcome = await retired(item);
  return outcome.outcome === 'retired' ? outcome.retirements[0] : outcome.outcome;
}

async function isThere(reference: string): Promise<boolean> {
  return (await getManifest(registry, repo, { kind: 'tag', tag: tag(reference) })) !== undefined;
}

/** Has something happen between the last look at what is in memory and the transaction. */
function justBeforeTheTransaction(happen: () => void): void {
  const { metadata } = stores;
  registry = {
    ...registry,
    metadata: {
      read: (operation) => metadata.read(operation),
      write: (operation, options) => {
        happen();
        return metadata.write(operation, options);
      },
      writeUnsynced: (operation, options) => metadata.writeUnsynced(operation, options),
      durable: (what) => metadata.durable(what),
      forgetOldPages: () => metadata.forgetOldPages(),
      isShared: metadata.isShared,
      settledEvents: () => metadata.settledEvents(),
      processesBefore: (migration) => metadata.processesBefore(migration),
      sizeBytes: () => metadata.sizeBytes(),
      commits: undefined,
      watch: (committed) => metadata.watch(committed),
      announce: (topic) => metadata.announce(topic),
      onAnnouncement: (heard) => metadata.onAnnouncement(heard),
      isReady: () => metadata.isReady(),
      close: () => metadata.close(),
    },
  };
}

describe('a tag that was judged old', () => {
  test('goes into the trash', async () => {
    const digest = await push(image('a'), { tags: ['x'] });
    expect(await becomesOf(judged(digest, 'x'))).toBe('pruned');
    expect(await isThere('x')).toBe(false);
    expect(await becomesOf(judged(digest, 'x'))).toBe('gone');
  });

  test('stays where it leads elsewhere, or was pushed again, or asked for by somebody who may push', async () => {
    const item = judged(await push(image('a'), { tags: ['x'] }), 'x');
    clock.advance(1);
    await headManifestForPush(registry, repo, { kind: 'tag', tag: tag('x') });
    // Within half a lease of the push it is known anyway that it is of use.
    expect(await becomesOf({ ...item, pushedAt: item.pushedAt - 1 })).toBe('pushed');
    await push(image('a'), { tags: ['x'] });
    expect(await becomesOf(item)).toBe('pushed');
    await push(image('b'), { tags: ['x'] });
    expect(await becomesOf(item)).toBe('pushed');
    expect(await isThere('x')).toBe(true);
  });

  test('stays where it was pulled since: by the tag, by another, by the digest, or a child of it', async () => {
    const child = image('child');
    const childDigest = await push(child);
    const digest = await push(JSON.stringify(indexOf(child)), { tags: ['x', 'y'], type: ociIndex });
    const item = judged(digest, 'x');
    for (const reference of [
      { kind: 'tag', tag: tag('x') },
      { kind: 'tag', tag: tag('y') },
      { kind: 'digest', digest },
      { kind: 'digest', digest: childDigest },
    ] as const) {
      clock.advance(1000);
      await getManifest(registry, repo, reference);
      expect(await becomesOf({ ...item, pulledAt: clock.now() - 1 })).toBe('pulled');
    }
    expect(await becomesOf({ ...item, pulledAt: clock.now() })).toBe('pruned');
  });

  test('stays where it is pulled at the last moment, which is only noted in memory', async () => {
    const digest = await push(image('a'), { tags: ['x', 'y'] });
    const { pulls } = registry;
    justBeforeTheTransaction(() => {
      clock.advance(1);
      pulls.record({ repo, digest, tag: tag('x') });
    });
    expect(await becomesOf(judged(digest, 'x'))).toBe('pulled');
    // By another tag.
    expect(await becomesOf({ ...judged(digest, 'y'), pulledAt: clock.now() })).toBe('pulled');
  });

  test.each(['x', 'digest', 'repository'])('stays where a pin of %s holds it', async (what) => {
    const digest = await push(image('a'), { tags: ['x'] });
    const reference = { x: { kind: 'tag', tag: tag('x') }, digest: { kind: 'digest', digest } } as const;
    await pin(registry, {
      repo,
      reference: what === 'repository' ? undefined : reference[what === 'x' ? 'x' : 'digest'],
      reason: 'audit',
      actor: anyClient,
    });
    expect(await becomesOf(judged(digest, 'x'))).toBe('pinned');
  });
});

test('the last tag stays where that is asked for, whatever is about something', async () => {
  const x = judged(await push(image('x'), { tags: ['x'] }), 'x');
  await push(image('y'), { tags: ['y'] });
  const about = `sha256-${'0'.repeat(64)}.sig`;
  await push(image('z'), { tags: [about] });
  const lastTagStays = async () => await retire(registry, { repo, items: [x], actor: anyClient, keepsLastTag: true });
  await removeTag(registry, repo, tag('y'), unconditional);
  expect(await lastTagStays()).toEqual({ outcome: 'retired', retirements: ['last-tag'] });
  await push(image('y'), { tags: ['sha256'] });
  expect(await lastTagStays()).toEqual({ outcome: 'retired', retirements: ['pruned'] });
});

test('what goes because room is needed gets no new lease', async () => {
  const leases = async (isForRoom: boolean) => {
    const digest = await push(image(String(isForRoom)), { tags: ['x'] });
    clock.advance(1000);
    await retire(registry, {
      repo,
      items: [{ ...judged(digest, 'x'), pushedAt: clock.now() }],
      actor: anyClient,
      isForRoom,
    });
    const row = await registry.metadata.read(() => first(manifestTimes, { repo, digest }));
    return (row?.lease_until ?? 0) - clock.now();
  };
  expect(await leases(false)).toBe(registry.windows.leaseMs);
  expect(await leases(true)).toBe(registry.windows.leaseMs - 1000);
});

test('nor does what goes because room is needed stay for uploads that go on', async () => {
  const digest = await push(image('a'), { tags: ['x'] });
  const row = await registry.metadata.read(() => first(manifestTimes, { repo, digest }));
  clock.advance(2 * registry.windows.leaseMs);
  const item = { ...judged(digest, 'x'), pushedAt: clock.now() };
  await retire(registry, { repo, items: [item], actor: anyClient, isForRoom: true });
  const after = await registry.metadata.read(() => first(manifestTimes, { repo, digest }));
  // An upload that has begun since the lease ended does not prolong it.
  expect(after?.lease_until).toBe(row?.lease_until ?? 0);
});

test('what was pruned is remembered for a day only', async () => {
  const hours = async () => await stores.metadata.read(() => first(prunedBetween, { repo, hour: 0, last: 1e9 }));
  for (const name of ['1', '2']) {
    expect(await becomesOf(judged(await push(image(name), { tags: [name] }), name))).toBe('pruned');
    clock.advance(25 * prunedHourMs);
  }
  expect(await hours()).toMatchObject({ tags: 1, bytes: 7 });
});

describe('a manifest under no tag', () => {
  test('goes into the trash', async () => {
    const item = judged(await push(image('a')));
    expect(await becomesOf(item)).toBe('pruned');
    expect(await becomesOf(item)).toBe('gone');
  });

  test('stays where a tag, an index or its subject holds it by now', async () => {
    const item = judged(await push(image('a')));
    await push(JSON.stringify(indexOf(image('a'))), { type: ociIndex });
    expect(await becomesOf(item)).toBe('held');
    const tagged = judged(await push(image('b')));
    await push(image('b'), { tags: ['b'] });
    expect(await becomesOf(tagged)).toBe('held');
    const subject = { mediaType: ociManifest, digest: sha256(image('b')), size: 1 };
    const referrer = judged(await push(JSON.stringify({ ...imageOf(new Uint8Array(1)), subject })));
    expect(await becomesOf(referrer)).toBe('held');
  });

  test('stays where it was pushed, pulled, asked for or pinned since', async () => {
    const digest = await push(image('a'));
    const item = judged(digest);
    clock.advance(1000);
    await getManifest(registry, repo, { kind: 'digest', digest });
    expect(await becomesOf(item)).toBe('pulled');
    clock.advance(5 * 3_600_000);
    await headManifestForPush(registry, repo, { kind: 'digest', digest });
    expect(await becomesOf({ ...item, pulledAt: clock.now() })).toBe('pushed');
    await push(image('a'));
    expect(await becomesOf({ ...item, pulledAt: clock.now() })).toBe('pushed');
    await pin(registry, { repo, reference: { kind: 'digest', digest }, reason: 'audit', actor: anyClient });
    expect(await becomesOf(judged(digest))).toBe('pinned');
  });
});

describe('several', () => {
  test('go up to the first that stays, since the others would free something else', async () => {
    const items = [];
    for (const name of ['1', '2', '3']) items.push(judged(await push(image(name), { tags: [name] }), name));
    clock.advance(1);
    await push(image('2'), { tags: ['2'] });
    expect(await retired(...items)).toEqual({ outcome: 'retired', retirements: ['pruned', 'pushed'] });
    expect(await isThere('3')).toBe(true);
  });

  test('go only where the repository has not changed since in a way that matters', async () => {
    const item = judged(await push(image('1'), { tags: ['1'] }), '1');
    await push(image('2'), { tags: ['2'] });
    await push(image('3'), { tags: ['3'] });
    const retireUnchanged = async (unchangedSince: { version?: number; narrowings?: number }) =>
      await retire(registry, { repo, items: [item], actor: anyClient, unchangedSince });
    expect(await retireUnchanged({ version: 1, narrowings: 0 })).toEqual({ outcome: 'changed' });
    await removeTag(registry, repo, tag('3'), unconditional);
    expect(await retireUnchanged({ narrowings: 0 })).toEqual({ outcome: 'changed' });
    // Both may have others stay: a signature is there again, or a budget has room for something else.
    const three = { kind: 'tag', tag: tag('3') } as const;
    await restore(registry, { target: { repo, tag: three.tag, digest: undefined }, actor: anyClient });
    expect(await retireUnchanged({ narrowings: 1 })).toEqual({ outcome: 'changed' });
    await pin(registry, { repo, reference: three, reason: 'audit', actor: anyClient });
    await unpin(registry, { repo, reference: three, actor: anyClient });
    expect(await retireUnchanged({ narrowings: 3 })).toEqual({ outcome: 'changed' });
    expect(await retireUnchanged({ narrowings: 4 })).toEqual({ outcome: 'retired', retirements: ['pruned'] });
  });

  test('do not go where a signature has come back from the trash since', async () => {
    const signed = image('1');
    const item = judged(await push(signed, { tags: ['1'] }), '1');
    const subject = { mediaType: ociManifest, digest: sha256(signed), size: signed.length };
    const signature = await push(JSON.stringify({ ...imageOf(new Uint8Array(1)), subject }));
    await deleteManifest(registry, repo, signature, unconditional);
    const { narrowings } = await stores.metadata.read(() => changesNow(repo));
    const restored = await restore(registry, {
      target: { repo, tag: undefined, digest: signature },
      actor: anyClient,
    });
    expect(restored.outcome).toBe('restored');
    expect(await retire(registry, { repo, items: [item], actor: anyClient, unchangedSince: { narrowings } })).toEqual({
      outcome: 'changed',
    });
  });
});

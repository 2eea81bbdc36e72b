import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { digestOf, imageOf, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

const hour = 3_600_000;
const day = 24 * hour;

let registry: ServedRegistry;
beforeEach(async () => {
  registry = await ServedRegistry.start({ 'retention.delay': '10s' });
});
afterEach(async () => await registry[Symbol.asyncDispose]());

/** Starts again with some policies, on what is there. */
async function usePolicies(...policies: readonly PolicyDefinition[]): Promise<void> {
  const parsed = parsePolicySet(policies);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  await registry.stop();
  registry.policies = parsed.set;
  await registry.resume({ 'retention.delay': '10s' });
  await registry.pruned();
}

async function push(tag: string, repo = 'app'): Promise<string> {
  const layer = new TextEncoder().encode(`layer of ${tag}`);
  const config = new TextEncoder().encode(`{"config":"${tag}"}`);
  await registry.pushBlob(repo, layer);
  await registry.pushBlob(repo, config);
  const text = JSON.stringify(imageOf(config, layer));
  expect((await registry.putManifest(repo, tag, text, ociManifest)).status).toBe(201);
  registry.clock.advance(1000);
  return digestOf(text);
}

async function tags(repo = 'app'): Promise<readonly string[]> {
  const answer = await registry.send(`/v2/${repo}/tags/list`);
  if (answer.status === 404) return [];
  const body: unknown = await answer.json();
  return typeof body === 'object' && body !== null && 'tags' in body && Array.isArray(body.tags)
    ? body.tags.map(String)
    : [];
}

/** A time has passed, and all that was due by then was looked at. */
async function pass(ms: number): Promise<void> {
  registry.clock.advance(ms);
  await registry.pruned();
}

const noRails = { tagsPerDay: '100%', bytesPerDay: '100%', grace: '0' } as const;
const twoNewest: PolicyDefinition = {
  name: 'two newest',
  repositories: '**',
  default: 'prune',
  rules: [{ action: 'keep', mostRecentlyPushedCount: 2 }],
  rails: noRails,
};

const events = (kind: string) =>
  registry.rows<{ tag: string | null; reason: string; bytes: number | null; actor: string }>(
    'select tag, reason, bytes, actor from event where kind = ? order by id',
    kind,
  );

describe('what a policy lets go', () => {
  test('goes by itself soon after a push, into the trash, with its reason and its bytes', async () => {
    await usePolicies(twoNewest);
    const first = await push('1');
    await push('2');
    await push('3');
    await registry.pruned();
    expect(await tags()).toEqual(['1', '2', '3']);
    await pass(10_000);
    expect(await tags()).toEqual(['2', '3']);
    expect(events('tag.pruned')).toEqual([
      {
        tag: '1',
        reason: 'no rule keeps it, and the default of two newest is prune',
        bytes: 'layer of 1'.length + '{"config":"1"}'.length,
        actor: 'retention',
      },
    ]);
    expect(registry.rows('select name, manifest from tag_trash')).toEqual([{ name: '1', manifest: first }]);
    const restored = await registry.admin('POST', '/trash/restore', { target: 'app:1' });
    expect(restored.status).toBe(200);
    expect(await tags()).toEqual(['1', '2', '3']);
    // It is the newest of all now.
    await pass(10_000);
    expect(await tags()).toEqual(['1', '3']);
  });

  test('leaves nothing behind to remember a day after it was the last of its repository', async () => {
    await usePolicies({ ...twoNewest, rules: [], rails: { ...noRails, mayPruneLastTag: true } });
    await push('only');
    await pass(10_000);
    expect(await tags()).toEqual([]);
    const remembered = () => registry.rows('select repo from pruned_hour union all select repo from retention_review');
    await pass(23 * hour);
    // It counts, should something be pushed again.
    expect(remembered()).toHaveLength(2);
    await pass(3 * hour);
    expect(remembered()).toEqual([]);
  });

  test('goes when its time has come, and not before', async () => {
    await usePolicies({
      repositories: '**',
      default: 'keep',
      rules: [{ action: 'prune', notPulledFor: '30d' }],
      rails: noRails,
    });
    await push('old');
    await push('new');
    await pass(10 * day);
    expect((await registry.send('/v2/app/manifests/new')).status).toBe(200);
    await pass(20 * day - 3000);
    expect(await tags()).toEqual(['new', 'old']);
    await pass(3000);
    expect(await tags()).toEqual(['new']);
    await pass(10 * day);
    // The last tag stays.
    expect(await tags()).toEqual(['new']);
  });

  test('goes within the rails only: the least recently used first, and the others on another day', async () => {
    await usePolicies();
    for (let number = 10; number < 20; number++) await push(String(number));
    await usePolicies({ ...twoNewest, rails: { ...noRails, tagsPerDay: '20%' } });
    expect(events('retention.waiting')).toHaveLength(1);
    await pass(10_000);
    expect(await tags()).toHaveLength(10);
    const answer = await registry.admin('POST', '/retention/approve', {});
    expect(answer.status).toBe(200);
    await registry.pruned();
    expect(await tags()).toEqual(['12', '13', '14', '15', '16', '17', '18', '19']);
    await pass(23 * hour);
    expect(await tags()).toHaveLength(8);
    // Two of ten; the hour in which they went has to be over for a day.
    await pass(2 * hour);
    expect(await tags()).toEqual(['13', '14', '15', '16', '17', '18', '19']);
  });
});

test('nothing is remembered of a repository that has been emptied, once its day is over', async () => {
  await usePolicies({
    repositories: '**',
    default: 'keep',
    rules: [{ action: 'prune', olderThan: '1d' }],
    rails: { ...noRails, mayPruneLastTag: true },
  });
  await push('1');
  await pass(day);
  expect(await tags()).toEqual([]);
  expect(registry.rows('select repo from pruned_hour')).toHaveLength(1);
  await pass(12 * hour);
  expect(registry.rows('select repo from pruned_hour')).toHaveLength(1);
  await pass(14 * hour);
  for (const table of ['pruned_hour', 'retention_review', 'announced_end']) {
    expect({ table, rows: registry.rows(`select repo from ${table}`) }).toEqual({ table, rows: [] });
  }
});

describe('a changed policy', () => {
  test('prunes at once where all that it would prune is within its rails', async () => {
    await push('1');
    await push('2');
    await push('3');
    await usePolicies(twoNewest);
    expect(events('retention.approved')).toMatchObject([{ actor: 'retention' }]);
    expect(await tags()).toEqual(['2', '3']);
  });

  test('waits where that passes them, and the others go on', async () => {
    for (const tag of ['1', '2', '3', '4']) await push(tag);
    for (const tag of ['1', '2', '3']) await push(tag, 'other');
    const careful = { ...twoNewest, name: 'careful', repositories: 'app', rails: { grace: '0' } };
    await usePolicies(careful, twoNewest);
    expect(await (await registry.admin('GET', '/retention')).json()).toMatchObject({
      policies: [
        { name: 'careful', state: 'waiting', wouldPrune: { tags: 2 }, railsLet: { tags: 1 } },
        { name: 'two newest', state: 'approved' },
      ],
    });
    const upcoming = await (await registry.admin('GET', '/retention/upcoming')).text();
    expect(upcoming.match(/the default of careful is prune; careful waits for approval/g)).toHaveLength(2);
    expect(await tags()).toHaveLength(4);
    expect(await tags('other')).toEqual(['2', '3']);
    await push('5');
    await pass(10_000);
    expect(await tags()).toHaveLength(5);
    const approved = await registry.admin('POST', '/retention/approve', { policy: 'careful' });
    expect(await approved.json()).toEqual({ approved: ['careful'] });
    await registry.pruned();
    expect(await tags()).toEqual(['2', '3', '4', '5']);
    // It is remembered.
    await usePolicies(careful, twoNewest);
    expect(events('retention.waiting')).toHaveLength(1);
    await usePolicies({ ...careful, default: 'keep' }, twoNewest);
    await usePolicies(careful, twoNewest);
    expect(events('retention.waiting')).toHaveLength(2);
  });

  test('is not approved under a name that there is not', async () => {
    await usePolicies(twoNewest);
    expect((await registry.admin('POST', '/retention/approve', { policy: 'nobody' })).status).toBe(404);
    expect(await (await registry.admin('POST', '/retention/approve', {})).json()).toEqual({ approved: [] });
  });
});

describe('a clock that is set', () => {
  test('ahead prunes nothing, until somebody says that it is right', async () => {
    await usePolicies({ ...twoNewest, rules: [{ action: 'keep', pulledWithin: '30d' }] });
    await push('1');
    await push('2');
    await pass(10_000);
    registry.clock.set(365 * day);
    await registry.pruned();
    expect(await tags()).toHaveLength(2);
    expect(events('retention.paused')).toHaveLength(1);
    const status = await registry.admin('GET', '/retention');
    expect(await status.text()).toContain('"paused":{"reason":"the clock was set from ');
    await registry.admin('POST', '/retention/resume');
    await registry.pruned();
    expect(await tags()).toEqual(['2']);
    expect(events('retention.resumed')).toHaveLength(1);
  });

  test('ahead and back again has nothing due too late that was pushed meanwhile', async () => {
    await usePolicies(twoNewest);
    await push('1');
    await push('2');
    await pass(10_000);
    registry.clock.set(365 * day);
    await pass(1000);
    await push('3');
    registry.clock.set(-365 * day);
    await pass(20_000);
    expect(await tags()).toHaveLength(2);
  });

  test('back while no server runs holds no rail, and leaves nothing due too late', async () => {
    for (let number = 10; number < 20; number++) await push(String(number));
    await registry.stop();
    registry.clock.set(365 * day);
    const policy = { ...twoNewest, rails: { ...noRails, tagsPerDay: '20%' } };
    await usePolicies(policy);
    await registry.admin('POST', '/retention/approve', {});
    await registry.pruned();
    expect(await tags()).toHaveLength(8);
    await registry.stop();
    registry.clock.set(-364 * day);
    await usePolicies(policy);
    expect(await tags()).toHaveLength(7);
  });

  test('by less again and again is believed, and hides no larger step', async () => {
    await usePolicies(twoNewest);
    for (let steps = 0; steps < 5; steps++) {
      registry.clock.set(-9 * 60_000);
      await pass(1000);
    }
    expect(events('retention.paused')).toEqual([]);
    registry.clock.set(50 * 60_000);
    await pass(1000);
    expect(events('retention.paused')).toHaveLength(1);
  });

  test('ahead and back again goes on by itself', async () => {
    await usePolicies({ ...twoNewest, rules: [{ action: 'keep', pulledWithin: '30d' }] });
    await push('1');
    await push('2');
    await pass(10_000);
    registry.clock.set(365 * day);
    await pass(1000);
    registry.clock.set(-365 * day);
    await pass(1000);
    expect(await tags()).toHaveLength(2);
    await pass(30 * day);
    expect(await tags()).toEqual(['2']);
  });

  test('is believed after it has gone on steadily for long, also over a restart', async () => {
    const policy = { ...twoNewest, rules: [{ action: 'keep', pulledWithin: '30d' }] } as const;
    await usePolicies(policy);
    await push('1');
    await push('2');
    await pass(10_000);
    registry.clock.set(365 * day);
    await registry.pruned();
    await usePolicies(policy);
    await pass(23 * hour);
    expect(await tags()).toHaveLength(2);
    await pass(hour);
    expect(await tags()).toEqual(['2']);
  });
});

describe('the end of a tag', () => {
  test('is told of beforehand, once', async () => {
    await usePolicies({ ...twoNewest, rules: [{ action: 'keep', pulledWithin: '30d' }] });
    await push('1');
    await push('2');
    await pass(26 * day);
    expect(events('tag.ending')).toEqual([]);
    const upcoming = async (within: string) => {
      const answer = await registry.admin('GET', `/retention/upcoming?within=${within}`);
      const lines: string[] = (await answer.text()).trim().split('\n');
      return lines.join('');
    };
    expect(await upcoming('3d')).toBe('{"total":{"items":0}}');
    expect(await upcoming('5d')).toContain('"tag":"1"');
    await pass(2 * day);
    // Each may be the last one, which then stays.
    expect(events('tag.ending').map(({ tag }) => tag)).toEqual(['1', '2']);
    await registry.send('/v2/app/manifests/1');
    await pass(day);
    expect(events('tag.ending').map(({ tag }) => tag)).toEqual(['1', '2']);
    await pass(day);
    expect(await tags()).toEqual(['1']);
    await pass(26 * day);
    expect(events('tag.ending').map(({ tag }) => tag)).toEqual(['1', '2', '1']);
    await pass(30 * day);
    expect(await tags()).toEqual(['1']);
  });
});

test('an end that each pull puts off a little is not told of at each look', async () => {
  await usePolicies({ ...twoNewest, rules: [{ action: 'keep', pulledWithin: '2d' }] });
  await push('1');
  await pass(10_000);
  const told = () => events('tag.ending').filter(({ tag }) => tag === '1').length;
  expect(told()).toBe(1);
  for (let hours = 0; hours < 23; hours++) {
    await registry.send('/v2/app/manifests/1');
    await push(`other-${hours}`);
    await pass(hour);
  }
  expect(told()).toBe(1);
  await pass(hour);
  await registry.send('/v2/app/manifests/1');
  await push('last');
  await pass(hour);
  expect(told()).toBe(2);
});

describe('a disk that is nearly full', () => {
  test('makes policies prune that let it: the least recently used first, over all repositories, until it is enough', async () => {
    await push('kept');
    for (const tag of ['1', '2', '3']) await push(tag);
    for (const tag of ['1', '2']) await push(tag, 'other');
    await push('1', 'not/asked');
    await registry.send('/v2/app/manifests/1');
    registry.clock.advance(1000);
    await usePolicies(
      {
        repositories: ['app', 'other'],
        default: 'keep',
        whenFull: 'prune',
        rules: [{ action: 'keep', tags: 'kept' }],
        rails: { grace: '0' },
      },
      { repositories: 'not/**', default: 'keep' },
    );
    const size = 'layer of 1'.length + '{"config":"1"}'.length;
    expect(await registry.makeRoom(0)).toEqual({ tags: 0, manifests: 0, bytes: 0 });
    // Only what 3 leads to is in no other repository that keeps it.
    expect(await registry.makeRoom(3 * size)).toEqual({ tags: 4, manifests: 0, bytes: size });
    expect(await tags()).toEqual(['kept']);
    expect(await tags('other')).toEqual(['2']);
    expect(await tags('not/asked')).toEqual(['1']);
  });

  test('loses no more of it than it takes', async () => {
    const all = Array.from({ length: 12 }, (_, number) => `tag-${String(number).padStart(2, '0')}`);
    for (const tag of all) await push(tag);
    await usePolicies({ repositories: 'app', default: 'keep', whenFull: 'prune', rails: { grace: '0' } });
    const size = 'layer of tag-00'.length + '{"config":"tag-00"}'.length;
    expect(await registry.makeRoom(1)).toEqual({ tags: 1, manifests: 0, bytes: size });
    expect(await registry.makeRoom(4 * size + 1)).toEqual({ tags: 5, manifests: 0, bytes: 5 * size });
    expect(await tags()).toEqual(all.slice(6));
  });

  test('holds before each batch of a repository, and says what has gone until then', async () => {
    const layer = new TextEncoder().encode('layer');
    const config = new TextEncoder().encode('{}');
    for (const content of [layer, config]) await registry.pushBlob('app', content);
    const text = JSON.stringify(imageOf(config, layer));
    for (let number = 0; number < 130; number++) {
      expect((await registry.putManifest('app', `tag-${number}`, text, ociManifest)).status).toBe(201);
    }
    registry.clock.advance(1000);
    await usePolicies({ repositories: 'app', default: 'keep', whenFull: 'prune', rails: { grace: '0' } });
    const left = () => registry.rows('select name from tag').length;
    // Rounds of 1, 2, 4 … 32 leave 67, and the next one takes 50 and then the rest.
    const mayGoOn = () => Promise.resolve(left() > 20);
    expect(await registry.makeRoom(1e6, { mayGoOn })).toMatchObject({ tags: 113 });
    expect(left()).toBe(17);
  });

  test('holds before each repository, and says that it was held where nothing has gone', async () => {
    for (const tag of ['1', '2', '3']) for (const repo of ['app', 'other']) await push(`${repo}-${tag}`, repo);
    await usePolicies({ repositories: '**', default: 'keep', whenFull: 'prune', rails: { grace: '0' } });
    const left = () => registry.rows('select name from tag').length;
    // One goes, and then one of each.
    const mayGoOn = () => Promise.resolve(left() > 4);
    expect(await registry.makeRoom(1e6, { mayGoOn })).toMatchObject({ tags: 2 });
    expect(await registry.makeRoom(1e6, { mayGoOn })).toBeUndefined();
    expect(left()).toBe(4);
  });

  test('holds where the clock is set while it is looked what may go', async () => {
    for (const tag of ['1', '2']) await push(tag);
    await usePolicies({ repositories: '**', default: 'keep', whenFull: 'prune', rails: { grace: '0' } });
    let asked = 0;
    const mayGoOn = async (): Promise<boolean> => {
      asked += 1;
      if (asked === 2) registry.clock.set(365 * day);
      return true;
    };
    expect(await registry.makeRoom(1e6, { mayGoOn })).toBeUndefined();
    expect(asked).toBe(2);
    expect(await tags()).toEqual(['1', '2']);
  });
});

test('a repository that the collector has emptied is remembered no more', async () => {
  await usePolicies({ repositories: '**', default: 'keep' });
  const text = JSON.stringify(imageOf(new TextEncoder().encode('{}')));
  await registry.pushBlob('app', new TextEncoder().encode('{}'));
  expect((await registry.putManifest('app', digestOf(text), text, ociManifest)).status).toBe(201);
  await pass(10_000);
  const queued = () => registry.rows<{ due_at: number | null }>('select due_at from retention_review');
  expect(queued()).toEqual([{ due_at: null }]);
  for (let days = 0; days < 40; days += 20) {
    registry.clock.advance(20 * day);
    await registry.collected();
  }
  expect(registry.rows('select name from repository')).toEqual([]);
  await registry.pruned();
  expect(queued()).toEqual([]);
});

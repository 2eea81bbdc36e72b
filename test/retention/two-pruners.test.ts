import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createLog } from '../../src/log/log.ts';
import type { Operation } from '../../src/metadata/operation.ts';
import { parseDigest } from '../../src/oci/digest.ts';
import { parseRepositoryName, parseTagName, type RepositoryName } from '../../src/oci/names.ts';
import { applyPlan } from '../../src/pruning/apply.ts';
import { sharedContents, planRepository } from '../../src/pruning/plan.ts';
import { PolicyScope } from '../../src/pruning/policy-scope.ts';
import { pruneRepository, type PruneOutcome } from '../../src/pruning/prune-repository.ts';
import { takeDue, type TakenReview } from '../../src/pruning/queue.ts';
import { pruningActor } from '../../src/registry/actor.ts';
import { putManifest } from '../../src/registry/manifests/put.ts';
import { unconditional } from '../../src/registry/precondition.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { pushWholeBlob } from '../../src/registry/uploads/whole.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import type { Policy } from '../../src/retention/policy.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { registryOf } from '../../src/server/registry-of.ts';
import { openStores, type Stores } from '../../src/stores/stores.ts';
import { digestOf, imageOf, ociManifest } from '../http/content.ts';
import { TestedStores } from '../pairs/tested-stores.ts';
import { ManualClock } from '../server/manual-clock.ts';

// Two processes that share the stores differ from one in that they know of each other by the database alone.
const clock = new ManualClock();
let tested: TestedStores;
let stores: Stores;
let one: Registry;
let other: Registry;
let policy: Policy;

beforeEach(() => {
  tested = new TestedStores('two-pruners');
});
afterEach(async () => {
  await stores.close();
  await tested[Symbol.asyncDispose]();
});

async function open(rails: PolicyDefinition['rails']): Promise<void> {
  const parsed = parsePolicySet([{ repositories: '**', default: 'prune', rails: { grace: '0', ...rails } }]);
  const [first] = parsed.ok ? parsed.set.policies : [];
  if (first === undefined) throw new Error('it is a policy');
  policy = first;
  const config = await tested.config();
  const log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
  stores = await openStores(config, log, { clock });
  const metadata = new Proxy(stores.metadata, {
    get(store, name) {
      if (name === 'isShared') return true;
      const value: unknown = Reflect.get(store, name, store);
      const bound: unknown = typeof value === 'function' ? value.bind(store) : value;
      return bound;
    },
  });
  const traffic = { pulled: () => undefined, pushed: () => undefined };
  const retention = new PolicyScope([policy], 1000);
  const parts = { stores: { ...stores, metadata }, config, clock, log, traffic, retention };
  [one, other] = [registryOf(parts), registryOf(parts)];
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('it is one');
  return value;
}

const [app, base] = ['app', 'base'].map((name) => known(parseRepositoryName(name)));

async function push(repo: RepositoryName, name: string, layer: Uint8Array): Promise<void> {
  const tag = known(parseTagName(name));
  const config = new TextEncoder().encode(`{"of":"${repo}:${name}"}`);
  for (const bytes of [config, layer]) {
    const digest = known(parseDigest(digestOf(bytes)));
    const body = new Blob([new Uint8Array(bytes)]).stream();
    const chunk = { body, range: undefined, lengthBytes: bytes.byteLength };
    expect((await pushWholeBlob(one, { repo, digest, ...chunk })).outcome).toBe('created');
  }
  const outcome = await putManifest(one, {
    repo,
    reference: { kind: 'tag', tag },
    tags: [tag],
    precondition: unconditional,
    bytes: new TextEncoder().encode(JSON.stringify(imageOf(config, layer))),
    contentType: ociManifest,
  });
  expect(outcome.outcome).toBe('created');
  clock.advance(1000);
}

/** @param beforeBatch what happens once it is decided what goes, before any of it does */
async function prune(
  registry: Registry,
  repo: RepositoryName,
  parts: { readonly beforeBatch?: () => Promise<void>; readonly isApproved?: () => Operation<boolean> } = {},
): Promise<PruneOutcome> {
  let asked = 0;
  return await pruneRepository(registry, {
    repo,
    policy,
    noticeMs: 0,
    retryMs: 1000,
    async mayGoOn() {
      asked += 1;
      if (asked === 2) await parts.beforeBatch?.();
      return true;
    },
    isClockRight: () => Promise.resolve(true),
    isApproved: parts.isApproved ?? approved,
  });
}

function* approved(): Operation<boolean> {
  yield* [];
  return true;
}

/** What a policy lets go of a repository, as a person has it carried out. */
async function applyLast(registry: Registry, repo: RepositoryName): Promise<void> {
  const now = clock.now();
  const plan = await planRepository(registry, { repo, policy, shared: sharedContents(registry, now), now });
  const { item } = known([...plan.goes, ...plan.waits].at(-1)).verdict;
  const { digest, pushedAt, taggedAt, pulledAt } = item;
  const planned = {
    tag: item.kind === 'tag' ? item.name : undefined,
    digest,
    pushedAt: known(pushedAt ?? undefined),
    taggedAt,
    pulledAt,
    reason: 'a person has looked',
  };
  const request = { repo, items: [planned], actor: pruningActor, mayPruneLastTag: false };
  expect(await applyPlan(registry, request)).toMatchObject([{ outcome: 'pruned' }]);
}

const layer = (of: string): Uint8Array => new TextEncoder().encode(of.repeat(1000));

test('what one process prunes counts for the rails of another that has decided before what goes', async () => {
  await open({ tagsPerDay: '10%', bytesPerDay: '100%' });
  for (let number = 0; number < 10; number++) await push(known(app), `v${number}`, layer(`${number}`));
  const { pruned } = await prune(one, known(app), { beforeBatch: () => applyLast(other, known(app)) });
  expect(pruned.tags).toBe(0);
  clock.advance(25 * 3_600_000);
  expect((await prune(one, known(app))).pruned.tags).toBe(1);
});

test('what a repository that another process prunes meanwhile gives up as well is freed by the one that comes last', async () => {
  await open({ tagsPerDay: '100%', bytesPerDay: '100%', mayPruneLastTag: true });
  for (const repo of [known(app), known(base)]) await push(repo, 'v1', layer('s'));
  clock.advance(60_000);
  await takeDue(one);
  let first: PruneOutcome | undefined;
  const beforeBatch = async (): Promise<void> => {
    first = await prune(other, known(base));
  };
  const second = await prune(one, known(app), { beforeBatch });
  expect([known(first).pruned.tags, second.pruned.tags]).toEqual([1, 1]);
  const configs = [app, base].map((repo) => `{"of":"${known(repo)}:v1"}`.length);
  expect(known(first).pruned.bytes + second.pruned.bytes).toBe(1000 + known(configs[0]) + known(configs[1]));
});

test('nothing goes by a policy whose approval is gone by the time that it would', async () => {
  await open({ tagsPerDay: '100%', bytesPerDay: '100%', mayPruneLastTag: true });
  await push(known(app), 'v1', layer('a'));
  let isApproved = true;
  const outcome = await prune(one, known(app), {
    beforeBatch: async () => void (isApproved = false),
    *isApproved() {
      yield* [];
      return isApproved;
    },
  });
  expect(outcome.pruned.tags).toBe(0);
});

describe('a repository that is due', () => {
  const names = (taken: readonly TakenReview[]): readonly string[] => taken.map(({ repo }) => repo).toSorted();
  const dueAt = (): unknown =>
    tested.beside().tables.rows<{ due_at: number | null }>('select due_at from retention_review')[0]?.due_at;

  beforeEach(async () => {
    await open({});
    await push(known(app), 'v1', layer('a'));
    clock.advance(60_000);
  });

  test('is taken by one process, and by another once that has not come to its end of it for a minute', async () => {
    expect(names(await takeDue(one))).toEqual(['app']);
    expect(names(await takeDue(other))).toEqual([]);
    clock.advance(59_999);
    expect(names(await takeDue(other))).toEqual([]);
    clock.advance(1);
    expect(names(await takeDue(other))).toEqual(['app']);
  });

  test('stays with a process that says in time that it is still at it', async () => {
    const [taken] = await takeDue(one);
    for (let times = 0; times < 5; times++) {
      clock.advance(31_000);
      expect(await taken?.keep()).toBe(true);
      expect(names(await takeDue(other))).toEqual([]);
    }
  });

  test('is not put away by a process that has lost it to another', async () => {
    const [lost] = await takeDue(one);
    clock.advance(60_000);
    const [taken] = await takeDue(other);
    expect(await lost?.keep()).toBe(false);
    await lost?.putAway(null, clock.now());
    expect(dueAt()).not.toBe(null);
    await taken?.putAway(null, clock.now());
    expect(dueAt()).toBe(null);
  });

  test('is taken at once by another process where the first has left it', async () => {
    for (const taken of await takeDue(one)) await taken.release();
    expect(names(await takeDue(other))).toEqual(['app']);
  });

  test('that had changed before it was judged is not looked at again for that', async () => {
    const [taken] = await takeDue(one);
    await push(known(app), 'v2', layer('b'));
    taken?.judgedAt(known((await prune(one, known(app))).version));
    await taken?.putAway(null, clock.now());
    expect(dueAt()).toBe(null);
  });

  test('that has changed since it was taken is looked at again', async () => {
    const [taken] = await takeDue(one);
    await push(known(app), 'v2', layer('b'));
    await taken?.putAway(null, clock.now() + 5);
    expect(dueAt()).toBe(clock.now() + 5);
    clock.advance(5);
    const [again] = await takeDue(other);
    await push(known(app), 'v3', layer('c'));
    await again?.forget(clock.now() + 7);
    expect(dueAt()).toBe(clock.now() + 7);
  });
});

import { afterEach, beforeEach, expect, test } from 'bun:test';
import { until } from '../server/until.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { createLog } from '../../src/log/log.ts';
import { parseRepositoryName, parseTagName } from '../../src/oci/names.ts';
import { PolicyScope } from '../../src/pruning/policy-scope.ts';
import { Pruner } from '../../src/pruning/pruner.ts';
import { putManifest } from '../../src/registry/manifests/put.ts';
import { unconditional } from '../../src/registry/precondition.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { changesNow } from '../../src/registry/retire.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { openStores, type Stores } from '../../src/stores/stores.ts';
import { registryOf } from '../../src/server/registry-of.ts';
import { imageOf, ociManifest } from '../http/content.ts';
import { TestedStores } from '../pairs/tested-stores.ts';

const clock = new ManualClock();
const logged: string[] = [];
let tested: TestedStores;
let stores: Stores;
let registry: Registry;
let pruner: Pruner;
/** What happens between two repositories. */
let inBetween = (): void => undefined;
/** How long each read of the database takes, in ms. */
let readMs = 0;
/** How long it rests after each look, in ms. */
let restMs = 0;
/** Whether nothing can be written that outlasts a power cut. */
let isFull = false;

beforeEach(async () => {
  [inBetween, isFull, readMs, restMs, logged.length] = [() => undefined, false, 0, 0, 0];
  tested = new TestedStores('pruner');
});
afterEach(async () => {
  await pruner.stop();
  await stores.close();
  await tested[Symbol.asyncDispose]();
});

/** A pruner that is not started, by a policy for all repositories. */
async function makePruner(policy: Omit<PolicyDefinition, 'repositories'>): Promise<void> {
  const config = await tested.config({ 'manifests.sparse': 'allow' });
  const parsed = parsePolicySet([{ repositories: '**', ...policy }]);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  const log = await createLog({ level: 'error', format: 'json', stream: { write: (line) => void logged.push(line) } });
  stores = await openStores(config, log, { clock });
  const scope = new PolicyScope(parsed.set.policies, 1000);
  const traffic = { pulled: () => undefined, pushed: () => undefined };
  const made = registryOf({ stores, config, clock, log, traffic, retention: scope });
  const { metadata } = made;
  registry = {
    ...made,
    metadata: {
      read: async (operation) => {
        clock.advance(readMs);
        return await metadata.read(operation);
      },
      write: async (operation, options) => {
        if (isFull) throw new Error('nothing can be written');
        return await metadata.write(operation, options);
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
  pruner = new Pruner({
    registry,
    set: parsed.set,
    scope,
    settings: config.retention,
    isHeld: () => Promise.resolve(false),
    restMs: () => {
      inBetween();
      return restMs;
    },
    counts: { pruned: () => undefined },
  });
}

async function push(repository: string, name: string, content = name): Promise<void> {
  const [repo, tag] = [parseRepositoryName(repository), parseTagName(name)];
  if (repo === undefined || tag === undefined) throw new Error('they are names');
  const outcome = await putManifest(registry, {
    repo,
    reference: { kind: 'tag', tag },
    tags: [tag],
    precondition: unconditional,
    bytes: new TextEncoder().encode(JSON.stringify(imageOf(new TextEncoder().encode(content)))),
    contentType: ociManifest,
  });
  expect(outcome.outcome).toBe('created');
}

const states = async (): Promise<readonly string[]> => (await pruner.standing()).map(({ state }) => state.state);

test('policies that could not be looked at are looked at again', async () => {
  await makePruner({ default: 'keep' });
  isFull = true;
  pruner.start();
  await until('it has failed', () => logged.length > 0);
  expect(await states()).toEqual(['looking']);
  isFull = false;
  clock.advance(60_000);
  await until('it is looked at again', async () => {
    pruner.wake();
    return (await states())[0] === 'approved';
  });
});

test('a clock that is set between two repositories stops the pruner before the second', async () => {
  await makePruner({
    default: 'keep',
    rules: [{ action: 'prune', olderThan: '30d' }],
    rails: { tagsPerDay: '100%', mayPruneLastTag: true },
  });
  pruner.start();
  await until('it may prune', async () => (await states())[0] === 'approved');
  for (const repo of ['one', 'other']) await push(repo, '1');
  clock.advance(1000);
  let reviews = 0;
  inBetween = () => {
    reviews += 1;
    if (reviews === 1) clock.set(365 * 86_400_000);
  };
  expect(await pruner.workOff()).toEqual({ tags: 0, manifests: 0, bytes: 0 });
  expect(await pruner.pause()).not.toBe(undefined);
});

const labelled: PolicyDefinition['rules'] = [{ action: 'keep', labels: { a: '*' }, mostRecentlyPushedCount: 1 }];

test.each([
  ['counts by what tags lead to', labelled, 1],
  ['has a budget', [{ action: 'keep', budget: '1GB' }], 1],
  ['counts by name', [{ action: 'keep', mostRecentlyPushedCount: 1 }], 0],
] as const)('a tag that is moved may have another stay only where a policy %s', async (_, rules, narrowings) => {
  await makePruner({ default: 'prune', rules });
  await push('app', '1');
  await push('app', '2');
  await push('app', '2', 'else');
  const repo = parseRepositoryName('app');
  if (repo === undefined) throw new Error('it is a name');
  expect(await registry.metadata.read(() => changesNow(repo))).toEqual({ version: 2, narrowings });
});

test('a repository that takes long is not looked at again at once after each change', async () => {
  await makePruner({
    default: 'prune',
    rules: [{ action: 'keep', mostRecentlyPushedCount: 1 }],
    rails: { grace: '0', tagsPerDay: '100%', bytesPerDay: '100%' },
  });
  pruner.start();
  await until('it may prune', async () => (await states())[0] === 'approved');
  await push('app', '1');
  clock.advance(1000);
  readMs = 100;
  await pruner.workOff();
  readMs = 0;
  await push('app', '2');
  clock.advance(1000);
  expect(await pruner.workOff()).toMatchObject({ tags: 0 });
  clock.advance(3_600_000);
  expect(await pruner.workOff()).toMatchObject({ tags: 1 });
});

test('whoever stops it does not wait for its rest', async () => {
  await makePruner({ default: 'keep' });
  await push('one', '1');
  let rests = 0;
  inBetween = () => {
    rests += 1;
  };
  restMs = 86_400_000;
  pruner.start();
  await until('it rests', () => rests === 1);
  await pruner.stop();
  expect(rests).toBe(1);
});

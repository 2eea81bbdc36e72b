import { afterEach, beforeEach, expect, test } from 'bun:test';
import { TestedStores } from '../../test/pairs/tested-stores.ts';
import { configFrom } from '../../test/server/config-from.ts';
import { ManualClock } from '../../test/server/manual-clock.ts';
import type { BlobStore } from '../blobs/store.ts';
import { Collector } from '../collector/collector.ts';
import { Pace } from '../collector/pace.ts';
import { createLog } from '../log/log.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { startActor } from '../registry/actor.ts';
import { pauseCollector, resumeCollector } from '../registry/collector-pause.ts';
import { DatabaseOutdatedError, StoreGeneration } from '../registry/store-generation.ts';
import { AcceptanceWatch } from './acceptance-watch.ts';
import { type CollectingParts, collectAgain, pauseOutdated } from './collecting.ts';
import type { Every } from './every.ts';
import { registryOf } from './registry-of.ts';

let stores: TestedStores;
let metadata: MetadataStore;
let blobs: BlobStore;
/** Whether the blobs do not answer when they are asked for their generation. */
let isAway: boolean;
let clock: ManualClock;
let logged: string[];
let collecting: CollectingParts;
let watch: AcceptanceWatch;
/** What the watch has done again and again; nothing before it is started, and after it is stopped. */
let looks: Set<() => Promise<void>>;

const every: Every = (_ms, run) => {
  looks.add(run);
  return { [Symbol.dispose]: () => void looks.delete(run) };
};

beforeEach(async () => {
  stores = new TestedStores('acceptance');
  // As one of several processes has it.
  metadata = await stores.metadata('data', { shared: { isKeeper: true, onBroken: () => undefined } });
  blobs = await stores.blobs();
  isAway = false;
  clock = new ManualClock();
  logged = [];
  looks = new Set();
});

afterEach(async () => {
  await watch.stop();
  await collecting.collector.stop();
  await collecting.registry.reclaimer.idle();
  await stores[Symbol.asyncDispose]();
});

/** The generation as a process sees it that starts now. */
async function openGeneration(): Promise<StoreGeneration> {
  const answering = {
    generation: async () => {
      if (isAway) throw new Error('the blobs do not answer');
      return await blobs.generation();
    },
    setGeneration: async (generation: number) => await blobs.setGeneration(generation),
  };
  return await StoreGeneration.open({ metadata, blobs: answering, clock });
}

/** A process that collects, as far as it is about that, and watches. */
async function start({ isRun = true } = {}): Promise<void> {
  const generation = await openGeneration();
  const stream = { write: (line: string) => void logged.push(line) };
  const log = await createLog({ level: 'warn', format: 'json', stream });
  const config = await configFrom({});
  const registry = registryOf({
    stores: {
      directory: stores.pathOf(),
      metadata,
      blobs,
      generation,
      clock,
      reserve: undefined,
      close: async () => undefined,
    },
    config,
    clock,
    log,
    traffic: { pulled: () => undefined, pushed: () => undefined },
  });
  const pace = new Pace({ ...config.collector, quietMs: () => Infinity, isHurried: () => true });
  const counts = { collected: () => undefined, reclaimed: () => undefined, failed: () => undefined };
  const collector = new Collector({ registry, pace, counts, log });
  collecting = { registry, collector, generation, directory: stores.pathOf(), isRun };
  if (generation.isDatabaseOutdated) pauseOutdated(collecting);
  watch = new AcceptanceWatch({
    generation,
    log,
    every,
    onOutdated: () => pauseOutdated(collecting),
    onAccepted: async () => await collectAgain(collecting),
  });
  watch.start();
}

async function look(): Promise<void> {
  await Promise.all([...looks].map((run) => run()));
}

/** Has the blobs be of a later generation than the database, as where an older copy was put in its place. */
async function becomeOutdated(): Promise<void> {
  await blobs.setGeneration(7);
}

/** As another process does it, or a command. */
async function acceptElsewhere(): Promise<void> {
  await (await openGeneration()).settle(7);
}

/** How often it was said. */
function saidThatIsOlder(): number {
  return logged.filter((line) => line.includes('the database is older than the blobs beside it')).length;
}

test('a database that is put in its place while the server runs, and is older than the blobs, pauses the collector', async () => {
  await start();
  await look();
  expect(collecting.collector.isPaused).toBe(false);
  await becomeOutdated();
  await look();
  await look();
  expect(collecting.collector.isPaused).toBe(true);
  expect(saidThatIsOlder()).toBe(1);
});

test('the collector is paused also where a removal has found first that the database is the older one', async () => {
  await start();
  await becomeOutdated();
  expect(await collecting.generation.beforeRemoval().catch((error: unknown) => error)).toBeInstanceOf(
    DatabaseOutdatedError,
  );
  expect(collecting.collector.isPaused).toBe(false);
  await look();
  await look();
  expect(collecting.collector.isPaused).toBe(true);
  expect(saidThatIsOlder()).toBe(1);
});

test.each([
  ['since it has started', async () => await start(), async () => await becomeOutdated()],
  ['when it starts', async () => await becomeOutdated(), async () => await start()],
])(
  'a server whose database is older %s collects again once another process has accepted it',
  async (_, begin, then) => {
    await begin();
    await then();
    await look();
    expect(saidThatIsOlder()).toBe(1);
    expect(collecting.collector.isPaused).toBe(true);
    await acceptElsewhere();
    await look();
    await look();
    expect(collecting.collector.isPaused).toBe(false);
    expect(logged.filter((line) => line.includes('was accepted as it is'))).toHaveLength(1);
    await collecting.generation.beforeRemoval();
  },
);

test('a database that becomes the older one once more pauses the collector once more', async () => {
  await start();
  await becomeOutdated();
  await look();
  await acceptElsewhere();
  await look();
  await blobs.setGeneration(8);
  await look();
  expect(collecting.collector.isPaused).toBe(true);
  expect(saidThatIsOlder()).toBe(2);
});

test('a collector that an operator has paused stays so when the database is accepted', async () => {
  await start();
  await becomeOutdated();
  await look();
  await pauseCollector(collecting.registry, { reason: 'incident', actor: startActor });
  await acceptElsewhere();
  await look();
  expect(collecting.collector.isPaused).toBe(true);
  // By way of any process.
  await resumeCollector(collecting.registry, startActor);
  await look();
  expect(collecting.collector.isPaused).toBe(false);
});

test('what a server that does not collect prunes is held no more either once the database is accepted', async () => {
  await start({ isRun: false });
  await becomeOutdated();
  await look();
  expect(collecting.collector.isPaused).toBe(true);
  await acceptElsewhere();
  await look();
  expect(collecting.collector.isPaused).toBe(false);
});

test('a look that fails changes nothing, and what it would have found is found by a later one', async () => {
  await start();
  await becomeOutdated();
  isAway = true;
  await look();
  expect(collecting.collector.isPaused).toBe(false);
  expect(logged.join('')).toContain('it is tried again');
  isAway = false;
  await look();
  expect(collecting.collector.isPaused).toBe(true);
});

test('it is not looked any more once it has stopped', async () => {
  await start();
  await becomeOutdated();
  await watch.stop();
  await look();
  expect(collecting.collector.isPaused).toBe(false);
});

import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../server/until.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createLog } from '../../src/log/log.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { openStores, registryOf } from '../../src/stores.ts';
import { PolicyScope } from '../../src/pruning/policy-scope.ts';
import { Pruner } from '../../src/pruning/pruner.ts';

test('policies that could not be looked at are looked at again', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-pruner-'));
  const loaded = await loadConfig({ flags: new Map(), env: {}, readFile: () => '' });
  const parsed = parsePolicySet([{ repositories: '**', default: 'keep' }]);
  if (!loaded.ok || !parsed.ok) throw new Error('both are right');
  const logged: string[] = [];
  const log = await createLog({ level: 'error', format: 'json', stream: { write: (line) => void logged.push(line) } });
  const clock = new ManualClock();
  const stores = await openStores(directory, log, { clock });
  const scope = new PolicyScope(parsed.set.policies, 1000);
  const traffic = { pulled: () => undefined, pushed: () => undefined };
  const made = registryOf({ stores, config: loaded.config, clock, log, traffic, retention: scope });
  let fails = true;
  const metadata: MetadataStore = {
    ...made.metadata,
    read: (operation) => made.metadata.read(operation),
    write: async (operation, options) => {
      if (fails) throw new Error('nothing can be written');
      return await made.metadata.write(operation, options);
    },
    writeUnsynced: (operation, options) => made.metadata.writeUnsynced(operation, options),
  };
  const pruner = new Pruner({
    registry: { ...made, metadata },
    set: parsed.set,
    scope,
    settings: loaded.config.retention,
    isHeld: () => false,
    restMs: () => 0,
    counts: { pruned: () => undefined },
  });
  const states = (): readonly string[] => pruner.policies.map(({ state }) => state.state);
  try {
    pruner.start();
    await until('it has failed', () => logged.length > 0);
    expect(states()).toEqual(['looking']);
    fails = false;
    clock.advance(60_000);
    await until('it is looked at again', () => {
      pruner.wake();
      return states()[0] === 'approved';
    });
  } finally {
    await pruner.stop();
    await stores.close();
    await rm(directory, { recursive: true });
  }
});

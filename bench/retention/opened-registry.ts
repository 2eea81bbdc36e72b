import { openStores } from '../../src/stores/stores.ts';
import { registryOf } from '../../src/server/registry-of.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { quietServer } from '../collect/in-process.ts';

/** A registry in this process that nobody serves. */
export interface OpenedRegistry extends AsyncDisposable {
  readonly registry: Registry;
}

/** Opens the registry of a data directory, at a time that stands still. @param now in ms since 1970 */
export async function openRegistry(directory: string, now: number): Promise<OpenedRegistry> {
  // The windows are as they are where nobody sets them.
  const windows = { lease: '6h', neverTagged: '30d', trash: '72h', condemned: '10m' };
  const settings = Object.fromEntries(Object.entries(windows).map(([name, value]) => [`windows.${name}`, value]));
  const { config, log } = await quietServer(directory, '127.0.0.1:0', settings);
  const stores = await openStores({ data: directory, metadata: { kind: 'sqlite' } }, log);
  const clock = { now: () => now, monotonic: () => performance.now() };
  const traffic = { pulled: () => undefined, pushed: () => undefined };
  return {
    registry: registryOf({ stores, config, clock, log, traffic }),
    async [Symbol.asyncDispose]() {
      await stores.close();
    },
  };
}

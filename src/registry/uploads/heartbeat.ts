import { change } from '../../metadata/operation.ts';
import { keepUpload } from '../../metadata/queries/uploads.ts';
import type { Registry } from '../registry.ts';
import { holdsClaim } from './claim.ts';

/** How often a slow writer tells that it is alive, at most, in ms (R27). */
const heartbeatMs = 30_000;
/** However short the window of uploads is. */
const leastHeartbeatMs = 100;

/**
 * Has other processes see that a session is worked on, also while the stores take long: to this one, its turn says so (R27).
 */
export async function keptAlive<T>(registry: Registry, id: string, work: () => Promise<T>): Promise<T> {
  const { metadata, clock, log } = registry;
  if (!metadata.isShared) return await work();
  const keep = async (): Promise<void> => {
    try {
      await metadata.writeUnsynced(() => change(keepUpload, { id, now: clock.now() }), { byOwnRows: true });
    } catch (error) {
      log.warn({ err: error, upload: id }, 'other processes could not be told that an upload goes on; trying again');
    }
  };
  const timer = setInterval(() => void keep(), keepEveryMs(registry));
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** How often a request at work tells other processes that it is, in ms. */
export function keepEveryMs({ windows }: Registry): number {
  return Math.max(leastHeartbeatMs, Math.min(heartbeatMs, windows.uploadMs / 4));
}

/**
 * Says now and then that a session is written to. Whoever has lost it meanwhile, to another process or because it has
 * ended, must not write on: what it sent to a bucket could come after the object is removed and forgotten (R32).
 * @returns when that was said last; undefined where the session is lost
 */
export async function heartbeat(
  registry: Registry,
  id: string,
  epoch: number,
  last: number,
): Promise<number | undefined> {
  const now = registry.clock.now();
  if (now - last < Math.min(heartbeatMs, registry.windows.uploadMs / 4)) return last;
  return (await holdsClaim(registry, id, epoch)) ? now : undefined;
}

import type { Registry } from '../registry/registry.ts';

const last = new WeakMap<Registry, Promise<unknown>>();

/**
 * Prunes one repository at a time: what each frees depends on what the others still hold, so that two which are judged at
 * once would both count what they share, or neither.
 */
export async function inTurn<T>(registry: Registry, work: () => Promise<T>): Promise<T> {
  const before = last.get(registry);
  const mine = (async () => {
    await before?.catch(() => undefined);
    return await work();
  })();
  last.set(registry, mine);
  return await mine;
}

import { setTimeout } from 'node:timers/promises';

/** Resolves after a time, in ms, or as soon as the signal is given. Nothing of it stays at a signal that outlives many waits. */
export async function waitUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  // It fails with the signal only.
  await setTimeout(ms, undefined, { signal }).catch(() => undefined);
}

import { change } from '../metadata/operation.ts';
import { deleteOldEvents } from '../metadata/queries/events.ts';
import type { Registry } from '../registry/registry.ts';

/** Events that one transaction looks at, so that no request waits long. */
const batch = 500;

/** Forgets events from before `before`, in ms since 1970, so that the log of what happened does not grow for ever. */
export async function forgetOldEvents({ metadata }: Registry, before: number, mayGoOn: () => boolean): Promise<void> {
  while (mayGoOn()) {
    const removed = await metadata.writeUnsynced(() => change(deleteOldEvents, { before, limit: batch }), {
      fromReserve: true,
    });
    if (removed < batch) return;
    await new Promise(setImmediate);
  }
}

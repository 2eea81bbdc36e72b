import { setTimeout } from 'node:timers/promises';
import { first } from '../metadata/operation.ts';
import { lastEvent } from '../metadata/queries/events.ts';
import type { MetadataStore } from '../metadata/store.ts';

/** How long it is waited, in ms, for transactions that were under way: they end soon, and what they write is not missed. */
const patienceMs = 500;
const lookEveryMs = 20;

type Metadata = Pick<MetadataStore, 'read' | 'durable' | 'settledEvents'>;

/**
 * From which event on one can follow without missing any: the last one that is there and on the disk, unless others with
 * smaller numbers may still be committed; 0 where there is none.
 *
 * @param isPatient whether to wait a little where that is known of older events only, so that fewer come again
 */
export async function lastSettledEvent(metadata: Metadata, isPatient: boolean): Promise<number> {
  const id = (await metadata.read(() => first(lastEvent, {})))?.id ?? 0;
  const until = performance.now() + (isPatient ? patienceMs : 0);
  let settled = await metadata.settledEvents();
  while (settled < id && performance.now() < until) {
    await setTimeout(lookEveryMs);
    settled = await metadata.settledEvents();
  }
  // Who follows from there on would miss what gets the same numbers after a power cut.
  await metadata.durable('all');
  return Math.min(id, settled);
}

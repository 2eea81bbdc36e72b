import { setTimeout } from 'node:timers/promises';
import { first } from '../metadata/operation.ts';
import { lastEvent } from '../metadata/queries/events.ts';
import type { MetadataStore } from '../metadata/store.ts';

const lookEveryMs = 20;

type Metadata = Pick<MetadataStore, 'read' | 'durable' | 'settledEvents'>;

/**
 * From which event on one can follow without missing any: the last one that is there and on the disk, unless others with
 * smaller numbers may still be committed; 0 where there is none.
 *
 * @param patienceMs how long to wait, where that is known of older events only, for transactions that are under way: they
 * end soon, and fewer events come again
 */
export async function lastSettledEvent(metadata: Metadata, patienceMs: number): Promise<number> {
  const id = (await metadata.read(() => first(lastEvent, {})))?.id ?? 0;
  const until = performance.now() + patienceMs;
  let settled = await metadata.settledEvents();
  while (settled < id && performance.now() < until) {
    await setTimeout(lookEveryMs);
    settled = await metadata.settledEvents();
  }
  // Who follows from there on would miss what gets the same numbers after a power cut.
  await metadata.durable('all');
  return Math.min(id, settled);
}

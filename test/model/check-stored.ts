import { Broken } from './broken.ts';
import type { Seen } from './world.ts';

/** What the database counts as it goes is what there is. */
export function checkStored({ stored }: Seen): void {
  const wrong = stored.find(
    ({ objects, bytes, countedObjects, countedBytes }) => objects !== countedObjects || bytes !== countedBytes,
  );
  if (wrong !== undefined) throw new Broken(`the ${wrong.state} objects are miscounted: ${JSON.stringify(wrong)}`);
}

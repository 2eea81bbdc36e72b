import { all } from '../metadata/operation.ts';
import { leavingObjectsAfter, linkCountsAfter } from '../metadata/queries/outlook.ts';
import type { Registry } from '../registry/registry.ts';

const hourMs = 3_600_000;
/** Rows that one read looks at, so that no request waits long. */
const rowsPerStep = 500;

/** What nothing links any more and is still on the disk, by how long it has been so, in bytes. */
export interface Garbage {
  readonly forAnHourBytes: number;
  readonly forADayBytes: number;
  readonly forLongerBytes: number;
}

/** By the review queue, in which all of it stands. */
export async function garbageByAge({ metadata, clock, windows }: Registry): Promise<Garbage> {
  const now = clock.now();
  const garbage = { forAnHourBytes: 0, forADayBytes: 0, forLongerBytes: 0 };
  for (let after: string | undefined = ''; after !== undefined;) {
    const at: string = after;
    const rows = await metadata.read(() => all(leavingObjectsAfter, { after: at, limit: rowsPerStep }));
    for (const { state, size_bytes: bytes, due_at } of rows) {
      if (state !== 'condemned' && state !== 'dead') continue;
      // A dead object that never was condemned has no time: it goes at once.
      const ageMs = due_at === null ? 0 : now - (due_at - windows.condemnedMs);
      if (ageMs <= hourMs) garbage.forAnHourBytes += bytes;
      else if (ageMs <= 24 * hourMs) garbage.forADayBytes += bytes;
      else garbage.forLongerBytes += bytes;
    }
    after = rows.length < rowsPerStep ? undefined : rows.at(-1)?.oid;
    await new Promise(setImmediate);
  }
  return garbage;
}

/** What the repositories share: blobs that more than one links, each counted once, and what that saves. */
export interface Shared {
  readonly bytes: number;
  readonly savedBytes: number;
}

/** Looks at every object, in steps. */
export async function sharedBytes(
  { metadata }: Registry,
  onProgress: (progress: { readonly name: string; readonly done: number }) => void,
): Promise<Shared> {
  const shared = { bytes: 0, savedBytes: 0 };
  let done = 0;
  for (let after: string | undefined = ''; after !== undefined;) {
    const at: string = after;
    const rows = await metadata.read(() => all(linkCountsAfter, { after: at, limit: rowsPerStep }));
    for (const { size_bytes: bytes, links } of rows) {
      if ((links ?? 0) < 2) continue;
      shared.bytes += bytes;
      shared.savedBytes += bytes * ((links ?? 0) - 1);
    }
    after = rows.at(-1)?.oid;
    done += rows.length;
    onProgress({ name: 'blobs', done });
    await new Promise(setImmediate);
  }
  return shared;
}

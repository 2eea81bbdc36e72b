import { mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathOf } from './checks/objects.ts';
import { syncDirectory } from './synced-directory.ts';

/**
 * Moves an object's file out of `objects/`, into `quarantine/` beside it. From then on the registry finds the blob's file
 * missing, running or not: it answers 404 and takes the copy of whoever pushes the blob again (see "A damaged file" in
 * docs/reliability.md). The bytes are kept for a person to look at.
 *
 * @returns where they are
 */
export function quarantine(dataDirectory: string, oid: string): string {
  const from = pathOf(dataDirectory, oid);
  const directory = join(dataDirectory, 'quarantine');
  mkdirSync(directory, { recursive: true, mode: 0o750 });
  syncDirectory(dataDirectory);
  const to = join(directory, oid);
  renameSync(from, to);
  syncDirectory(directory);
  syncDirectory(dirname(from));
  return to;
}

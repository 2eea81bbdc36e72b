import { chmodSync, statSync } from 'node:fs';

const rightsOfOthers = 0o007;

/**
 * Takes a database from those who are neither its user nor in its group: it has the keys by which tokens are signed, and
 * the data directory may have been made by somebody who lets everybody in. SQLite makes the files beside it with the mode
 * that it has. Whoever may not change it, as it is another's, uses it as it is.
 */
export function closeToOthers(path: string): void {
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    try {
      const { mode } = statSync(file);
      if ((mode & rightsOfOthers) !== 0) chmodSync(file, mode & 0o777 & ~rightsOfOthers);
    } catch {
      // It is not there, or another's.
    }
  }
}

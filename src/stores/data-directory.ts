import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { joinDirectory, lockDirectory } from '../metadata/sqlite/directory-lock.ts';
import { StartupError } from '../startup-error.ts';
import { codeOf, startupFailure } from '../startup-failures.ts';

/** Another process has the data directory. */
export class DirectoryInUseError extends StartupError {}

/**
 * Makes a data directory where there is none, and takes it for this process and its workers, before anything is opened.
 * @throws StartupError where the operator has to mend something first
 */
export function takeDataDirectory(data: string): Disposable {
  const directory = resolve(data);
  prepareDirectory(directory);
  return takeDirectory(directory);
}

/**
 * Takes a worker's part of it, until the end of the process.
 * @throws StartupError where another wherry is about to take it
 */
export function joinDataDirectory(data: string): Disposable {
  const directory = resolve(data);
  const joined = joinDirectory(directory);
  if (joined === undefined) throw inUse(directory, undefined);
  return joined;
}

function inUse(directory: string, holder: string | undefined): DirectoryInUseError {
  const named = holder === undefined ? '' : ` (process ${holder})`;
  return new DirectoryInUseError(
    `another wherry${named} is using the data directory ${directory}: stop it, or give this one a directory of its own with --data`,
  );
}

/** The same for a directory that is there. @throws StartupError where another wherry uses it */
export function takeDirectory(directory: string): Disposable {
  try {
    const locking = lockDirectory(directory);
    if (!locking.locked) throw inUse(directory, locking.holder);
    return locking.lock;
  } catch (error) {
    throw startupFailure(error, {
      name: `the lock ${join(directory, 'lock.db')}`,
      ifDamaged: 'it is damaged, and holds nothing but the lock: remove it while no wherry uses the directory',
    });
  }
}

/** Makes a data directory where there is none. @throws StartupError where it cannot be used */
export function prepareDirectory(directory: string): void {
  try {
    const topmost = mkdirSync(directory, { recursive: true, mode: 0o750 });
    if (topmost !== undefined) syncParents(directory, topmost);
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = codeOf(error) ?? 'unknown error';
    const problem =
      code === 'EEXIST' || code === 'ENOTDIR'
        ? `the data directory ${directory} is not a directory, or lies in something that is none (${code}): choose another with --data`
        : `cannot use the data directory ${directory} (${code}): choose another with --data, or give this user the right to write there`;
    throw new StartupError(problem, { cause: error });
  }
}

/** Directories just made are only found again after a power cut once those that hold them are synced. */
function syncParents(directory: string, topmost: string): void {
  for (let made = directory; made.length >= topmost.length; made = dirname(made)) {
    const descriptor = openSync(dirname(made), 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}

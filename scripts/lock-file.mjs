// A lock between processes on one machine, as a symbolic link that names its holder: unlike a file, it is made together
// with its content.
import { hostname } from 'node:os';
import { closeSync, openSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const retryMs = 100;
const giveUpMs = 15 * 60_000;

/**
 * Does something while no other process does what it does under the same lock. A lock whose holder has died is taken
 * over.
 *
 * @template T
 * @param {string} lockPath
 * @param {() => Promise<T>} action
 * @returns {Promise<T>}
 * @throws if the lock isn't free within 15 minutes
 */
export async function withLock(lockPath, action) {
  const startedAt = Date.now();
  while (!take(lockPath)) {
    removeIfAbandoned(lockPath);
    if (Date.now() - startedAt > giveUpMs) throw new Error(`Still locked; if nobody is at work, delete ${lockPath}`);
    await sleep(retryMs);
  }
  const release = () => unlinkSync(lockPath);
  process.once('exit', release);
  try {
    return await action();
  } finally {
    process.off('exit', release);
    release();
  }
}

function take(lockPath) {
  try {
    symlinkSync(`${hostname()}:${process.pid}`, lockPath);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function removeIfAbandoned(lockPath) {
  if (!isAbandoned(lockPath)) return;
  // Of two that see the same abandoned lock, the slower would remove the lock that the faster has taken since.
  const guard = `${lockPath}.removal`;
  try {
    closeSync(openSync(guard, 'wx'));
  } catch {
    return;
  }
  if (isAbandoned(lockPath)) unlinkSync(lockPath);
  unlinkSync(guard);
}

function isAbandoned(lockPath) {
  let holder;
  try {
    holder = readlinkSync(lockPath);
  } catch {
    return false;
  }
  const separator = holder.lastIndexOf(':');
  // On another machine, or in another container, that process cannot be seen from here.
  if (holder.slice(0, separator) !== hostname()) return false;
  try {
    process.kill(Number(holder.slice(separator + 1)), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

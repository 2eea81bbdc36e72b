import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { fstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MetadataBrokenError } from '../store.ts';
import { CommitSync } from './commit-sync.ts';

let directory: string;
let walPath: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-commit-sync-'));
  walPath = join(directory, 'wherry.db-wal');
  writeFileSync(walPath, 'commits');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** A disk that syncs when the test says so. */
class SlowDisk {
  readonly #running: ((error: Error | null) => void)[] = [];
  /** How many syncs have begun. */
  begun = 0;
  /** How many syncs ran at the same time, at most. */
  mostAtOnce = 0;

  readonly sync = (_descriptor: number, done: (error: Error | null) => void): void => {
    this.begun++;
    this.#running.push(done);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#running.length);
  };

  get running(): number {
    return this.#running.length;
  }

  /** Ends the sync that began first. */
  finish(error: Error | null = null): void {
    const done = this.#running.shift();
    if (done === undefined) throw new Error('no sync is running');
    done(error);
  }
}

/** Commits something, and waits for it to be durable. */
async function commitTo(commits: CommitSync): Promise<void> {
  commits.committed();
  await commits.durable();
}

/** Lets everything happen that waits for nothing but its turn. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
}

interface Watched {
  state: 'pending' | 'durable' | 'refused';
  error?: unknown;
}

/** Notes what becomes of a promise. */
function watch(promise: Promise<void>): Watched {
  const watched: Watched = { state: 'pending' };
  void note(promise, watched);
  return watched;
}

async function note(promise: Promise<void>, watched: Watched): Promise<void> {
  try {
    await promise;
    watched.state = 'durable';
  } catch (error) {
    watched.state = 'refused';
    watched.error = error;
  }
}

describe('group commit', () => {
  test('a commit is durable when a sync that began after it has ended', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const commit = watch(commitTo(commits));
    await settled();
    expect([commit.state, disk.running]).toEqual(['pending', 1]);
    disk.finish();
    await settled();
    expect([commit.state, disk.begun]).toEqual(['durable', 1]);
    await commits.close();
  });

  test('a commit that comes while a sync runs is not durable with that sync, which may have begun before it', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const early = watch(commitTo(commits));
    const late = watch(commitTo(commits));
    disk.finish();
    await settled();
    expect([early.state, late.state]).toEqual(['durable', 'pending']);
    disk.finish();
    await settled();
    expect(late.state).toBe('durable');
    await commits.close();
  });

  test('all commits that come while a sync runs share the next one', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const first = watch(commitTo(commits));
    const others = [];
    for (let count = 0; count < 50; count++) {
      others.push(watch(commitTo(commits)));
      await Promise.resolve();
    }
    disk.finish();
    disk.finish();
    await settled();
    expect([first, ...others].every(({ state }) => state === 'durable')).toBe(true);
    expect(disk.begun).toBe(2);
    await commits.close();
  });

  test('the next sync begins in the moment in which the one before it ends', () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    void commitTo(commits);
    void commitTo(commits);
    disk.finish();
    expect([disk.begun, disk.running]).toEqual([2, 1]);
    disk.finish();
    expect([disk.begun, disk.running]).toEqual([2, 0]);
  });

  test('a commit that comes right after the end of a sync waits for a sync of its own', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const states: string[] = [];
    const commitTwice = async (): Promise<void> => {
      await commitTo(commits);
      const again = commitTo(commits);
      states.push(`${disk.running} running`);
      await again;
      states.push('durable again');
    };
    const both = commitTwice();
    disk.finish();
    await settled();
    expect(states).toEqual(['1 running']);
    disk.finish();
    await both;
    expect(states).toEqual(['1 running', 'durable again']);
    await commits.close();
  });

  test('there are never two syncs at once, at whatever moment commits come', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const watched: Watched[] = [];
    /** The number of the sync that a commit must outlive: the next that begins after it. */
    const needed: number[] = [];
    const come = (): void => {
      needed.push(disk.begun + 1);
      watched.push(watch(commitTo(commits)));
    };
    for (let round = 0; round < 100; round++) {
      come();
      // Commits in each of the turns that follow the end of a sync, before its callers and between them.
      if (round % 3 !== 0) disk.finish();
      for (let turn = 0; turn < round % 7; turn++) {
        come();
        await Promise.resolve();
      }
      await settled();
      const ended = disk.begun - disk.running;
      watched.forEach(({ state }, index) => {
        if (state === 'durable') expect(needed[index]).toBeLessThanOrEqual(ended);
      });
    }
    while (disk.running > 0) disk.finish();
    await settled();
    expect(watched.every(({ state }) => state === 'durable')).toBe(true);
    expect(disk.mostAtOnce).toBe(1);
    await commits.close();
  });

  test('what is on the disk needs no further sync', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    await commits.durable();
    const commit = commitTo(commits);
    disk.finish();
    await commit;
    await commits.durable();
    expect(disk.begun).toBe(1);
    await commits.close();
  });

  test('whoever has seen a commit whose sync is under way waits for that one', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const commit = commitTo(commits);
    const seen = watch(commits.durable());
    await settled();
    expect(seen.state).toBe('pending');
    disk.finish();
    await commit;
    await settled();
    expect([seen.state, disk.begun]).toEqual(['durable', 1]);
    await commits.close();
  });

  test('an idle registry syncs nothing', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const commit = commitTo(commits);
    disk.finish();
    await commit;
    await settled();
    expect(disk.begun).toBe(1);
    await commits.close();
  });
});

describe('a sync that fails', () => {
  const inputOutputError = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });

  test('refuses its commits, saying what to do', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const commit = watch(commitTo(commits));
    disk.finish(inputOutputError);
    await settled();
    expect(commit.state).toBe('refused');
    expect(commit.error).toBeInstanceOf(MetadataBrokenError);
    expect(commit.error).toMatchObject({ cause: inputOutputError });
    expect(String(commit.error)).toMatch(/EIO: i\/o error.*check the disk, then restart/);
    await commits.close();
  });

  test('refuses those who wait for the next, for its success would prove nothing', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const commit = watch(commitTo(commits));
    const waiting = [watch(commitTo(commits)), watch(commitTo(commits))];
    disk.finish(inputOutputError);
    await settled();
    expect([commit, ...waiting].map(({ state }) => state)).toEqual(['refused', 'refused', 'refused']);
    expect([disk.begun, disk.running]).toEqual([1, 0]);
    await commits.close();
  });

  test('refuses every later commit for ever, without another sync', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const commit = watch(commitTo(commits));
    disk.finish(inputOutputError);
    await settled();
    for (let count = 0; count < 10; count++) {
      const later = watch(commitTo(commits));
      await settled();
      expect(later.error).toBeInstanceOf(MetadataBrokenError);
    }
    expect([commit.state, disk.begun]).toEqual(['refused', 1]);
    await commits.close();
  });

  test('takes nothing back from the commits before it', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const before = watch(commitTo(commits));
    const after = watch(commitTo(commits));
    disk.finish();
    disk.finish(inputOutputError);
    await settled();
    expect([before.state, after.state]).toEqual(['durable', 'refused']);
    await commits.close();
  });
});

describe('closing', () => {
  test('waits for the syncs that were asked for, and closes the log', async () => {
    const disk = new SlowDisk();
    let descriptor = -1;
    const commits = new CommitSync(walPath, (opened, done) => {
      descriptor = opened;
      disk.sync(opened, done);
    });
    const pending = [watch(commitTo(commits)), watch(commitTo(commits))];
    const closing = watch(commits.close());
    await settled();
    disk.finish();
    await settled();
    expect([closing.state, fstatSync(descriptor).size]).toEqual(['pending', 'commits'.length]);
    disk.finish();
    await settled();
    expect(pending.map(({ state }) => state)).toEqual(['durable', 'durable']);
    while (closing.state === 'pending') await settled();
    expect(() => fstatSync(descriptor)).toThrow('EBADF');
  });

  test('works with a failed disk too', async () => {
    const disk = new SlowDisk();
    const commits = new CommitSync(walPath, disk.sync);
    const commit = watch(commitTo(commits));
    const closing = commits.close();
    disk.finish(new Error('EIO'));
    await closing;
    expect(commit.state).toBe('refused');
  });
});

test('the log of a real disk is synced', async () => {
  const commits = new CommitSync(walPath);
  await Promise.all([commitTo(commits), commitTo(commits), commitTo(commits)]);
  await commitTo(commits);
  await commits.close();
});

test('a log that is not there is not created', () => {
  expect(() => new CommitSync(join(directory, 'other-wal'))).toThrow('ENOENT');
});

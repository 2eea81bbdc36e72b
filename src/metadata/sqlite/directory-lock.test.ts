import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { joinDirectory, lockDirectory } from './directory-lock.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-lock-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** Takes the directory, which must be free. */
function lock(): Disposable {
  const locking = lockDirectory(directory);
  if (!locking.locked) throw new Error(`the directory is held by ${locking.holder}`);
  return locking.lock;
}

/** A process that takes the directory and stays; it has it when this resolves. */
async function startHolder(): Promise<Bun.Subprocess<'ignore', 'pipe', 'inherit'>> {
  const script = `
    import { lockDirectory } from ${JSON.stringify(join(import.meta.dir, 'directory-lock.ts'))};
    globalThis.locking = lockDirectory(${JSON.stringify(directory)});
    console.log(globalThis.locking.locked);
    setInterval(() => {}, 1000);
  `;
  const holder = Bun.spawn([process.execPath, '-e', script], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  for await (const chunk of holder.stdout) {
    expect(Buffer.from(chunk).toString()).toBe('true\n');
    return holder;
  }
  throw new Error('the process ended before it had the directory');
}

test('a directory has one holder, whose process is named to the next', () => {
  using held = lock();
  expect(held).toBeDefined();
  expect(lockDirectory(directory)).toEqual({ locked: false, holder: String(process.pid) });
  expect(lockDirectory(directory)).toEqual({ locked: false, holder: String(process.pid) });
});

test('a directory is free again once its holder has let go of it', () => {
  for (let count = 0; count < 3; count++) {
    using held = lock();
    expect(held).toBeDefined();
    expect(lockDirectory(directory).locked).toBe(false);
  }
});

test('a directory can be taken where there is no room to say by whom', () => {
  // What a full disk leaves of it: it cannot be written.
  mkdirSync(join(directory, 'lock.pid'));
  using held = lock();
  expect(held).toBeDefined();
  expect(lockDirectory(directory)).toEqual({ locked: false, holder: undefined });
});

test('a holder of which nothing could be written is not named', () => {
  using held = lock();
  expect(held).toBeDefined();
  writeFileSync(join(directory, 'lock.pid'), '');
  expect(lockDirectory(directory)).toEqual({ locked: false, holder: undefined });
});

test('two directories have a holder each', () => {
  using held = lock();
  expect(held).toBeDefined();
  const elsewhere = mkdtempSync(join(tmpdir(), 'wherry-lock-'));
  try {
    const locking = lockDirectory(elsewhere);
    expect(locking.locked).toBe(true);
    if (locking.locked) locking.lock[Symbol.dispose]();
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

test('the file that names the holder is no lock', () => {
  writeFileSync(join(directory, 'lock.pid'), '1\n');
  using held = lock();
  expect(held).toBeDefined();
  expect(readFileSync(join(directory, 'lock.pid'), 'utf8')).toBe(`${process.pid}\n`);
});

test('a holder that cannot be named is one all the same', () => {
  using held = lock();
  expect(held).toBeDefined();
  rmSync(join(directory, 'lock.pid'));
  expect(lockDirectory(directory)).toEqual({ locked: false, holder: undefined });
});

test('another process that holds the directory keeps it from this one until it is killed (R36, R40)', async () => {
  const holder = await startHolder();
  try {
    expect(lockDirectory(directory)).toEqual({ locked: false, holder: String(holder.pid) });
  } finally {
    holder.kill('SIGKILL');
    await holder.exited;
  }
  expect(holder.signalCode).toBe('SIGKILL');
  using held = lock();
  expect(held).toBeDefined();
});

test('a directory that is not there cannot be locked', () => {
  expect(() => lockDirectory(join(directory, 'missing'))).toThrow('unable to open database file');
});

/** A worker that takes its part of the directory and stays; it has it when this resolves. */
async function startWorker(): Promise<Bun.Subprocess<'ignore', 'pipe', 'inherit'>> {
  const script = `
    import { joinDirectory } from ${JSON.stringify(join(import.meta.dir, 'directory-lock.ts'))};
    globalThis.part = joinDirectory(${JSON.stringify(directory)});
    console.log(globalThis.part !== undefined);
    setInterval(() => {}, 1000);
  `;
  const worker = Bun.spawn([process.execPath, '-e', script], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  for await (const chunk of worker.stdout) {
    expect(Buffer.from(chunk).toString()).toBe('true\n');
    return worker;
  }
  throw new Error('the process ended before it had its part');
}

test('while a worker lives whose supervisor is gone, nobody else gets the directory', async () => {
  const supervisor = lock();
  const workers = await Promise.all([startWorker(), startWorker()]);
  supervisor[Symbol.dispose]();
  for (const worker of workers) {
    expect(lockDirectory(directory, 0)).toMatchObject({ locked: false });
    worker.kill('SIGKILL');
    await worker.exited;
  }
  using next = lock();
  expect(next).toBeDefined();
});

test('whoever has the directory may have workers, one after the other and at once', () => {
  using held = lock();
  for (let round = 0; round < 2; round++) {
    using one = joinDirectory(directory);
    using other = joinDirectory(directory);
    expect([held, one, other]).not.toContain(undefined);
  }
});

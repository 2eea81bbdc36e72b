import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';

const projectDirectory = path.join(import.meta.dir, '..', '..');
const testWithinMs = 60_000;
const portFreeWithinMs = 10_000;

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'wherry-launch-'));
});

afterEach(async () => {
  // A registry that was just ended may still be closing its stores.
  await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

async function startWith(...command: [string, ...string[]]): Promise<ServerProcess> {
  const port = freePort();
  const args = ['serve', '--listen', `127.0.0.1:${port}`, '--data', path.join(directory, 'data')];
  return await ServerProcess.start(port, path.join(directory, 'server.log'), { command: [...command, ...args] });
}

describe('npm start', () => {
  const npmStart = ['npm', '--prefix', projectDirectory, 'start', '--'] as const;

  test(
    'serves with the arguments that it is given, and drains when npm is asked to end',
    async () => {
      await using server = await startWith(...npmStart);
      expect(await server.stop()).toBe(0);
      expect(await isServing(server.origin)).toBe(false);
    },
    testWithinMs,
  );

  test(
    'leaves no registry behind when npm is killed with -9',
    async () => {
      await using server = await startWith(...npmStart);
      process.kill(server.pid, 'SIGKILL');
      const killedAtMs = performance.now();
      while ((await isServing(server.origin)) && performance.now() - killedAtMs < portFreeWithinMs) await Bun.sleep(20);
      expect(await isServing(server.origin)).toBe(false);
    },
    testWithinMs,
  );
});

test(
  'the command wherry runs through a symbolic link and ends with the exit code of the registry',
  async () => {
    const link = path.join(directory, 'wherry');
    await symlink(path.join(projectDirectory, 'bin', 'wherry.mjs'), link);
    await using server = await startWith(link);
    expect(await server.stop()).toBe(0);
    const refused = Bun.spawn([link, 'no-such-command'], { stdout: 'ignore', stderr: 'ignore' });
    expect(await refused.exited).not.toBe(0);
  },
  testWithinMs,
);

async function isServing(origin: string): Promise<boolean> {
  return await fetch(`${origin}/readyz`, { keepalive: false, signal: AbortSignal.timeout(1000) }).then(
    () => true,
    () => false,
  );
}

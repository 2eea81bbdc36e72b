import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { AdminAccess, serverIn } from './admin-access.ts';

let directory: string;
/** Tokens of those that are there. */
let running: Set<string>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-admin-'));
  running = new Set();
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function started(token: string): AdminAccess {
  const log = pino({ enabled: false });
  const access = new AdminAccess({ directory, log, token, answers: async (server) => running.has(server.token) });
  running.add(token);
  access.tell(`http://127.0.0.1/${token}`);
  return access;
}

function stop(access: AdminAccess): void {
  access.withdraw();
  running.delete(access.token);
}

test('a server that stops leaves the files of another one that runs on its data directory', () => {
  const first = started('first');
  const second = started('second');
  stop(first);
  expect(serverIn(directory)?.token).toBe('second');
  stop(second);
  expect(serverIn(directory)).toBeUndefined();
});

test('a server that still runs puts its own files back once the one that was started later has stopped', async () => {
  const first = started('first');
  const second = started('second');
  await first.look();
  expect(serverIn(directory)?.token).toBe('second');
  stop(second);
  await second.look();
  expect(serverIn(directory)).toBeUndefined();
  await first.look();
  expect(serverIn(directory)?.token).toBe('first');
  stop(first);
});

test('a server that was killed is not found any more where another one runs on its data directory', async () => {
  const first = started('first');
  const second = started('second');
  running.delete('second');
  await first.look();
  expect(serverIn(directory)?.token).toBe('first');
  // It would not have been killed at all, but was too busy to answer.
  await second.look();
  expect(serverIn(directory)?.token).toBe('first');
  [first, second].forEach(stop);
});

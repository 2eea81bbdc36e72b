import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
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
  const access = new AdminAccess({
    directory,
    log,
    isShared: true,
    token,
    ownProcess: token,
    isRunning: (process) => running.has(process),
  });
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

test('a server that still runs puts its own files back once the one that was started later has stopped', () => {
  const first = started('first');
  const second = started('second');
  first.look();
  expect(serverIn(directory)?.token).toBe('second');
  stop(second);
  second.look();
  expect(serverIn(directory)).toBeUndefined();
  first.look();
  expect(serverIn(directory)?.token).toBe('first');
  stop(first);
});

test('a server that was killed is not found any more where another one runs on its data directory', () => {
  const first = started('first');
  const second = started('second');
  running.delete('second');
  first.look();
  expect(serverIn(directory)?.token).toBe('first');
  [first, second].forEach(stop);
});

test('whether a process of another machine runs cannot be seen: its files stay until it removes them', () => {
  const log = pino({ enabled: false });
  const here = new AdminAccess({ directory, log, isShared: true, token: 'here' });
  here.tell('http://127.0.0.1:1');
  const elsewhere = new AdminAccess({
    directory,
    log,
    isShared: true,
    token: 'elsewhere',
    ownProcess: `${Bun.spawnSync(['true']).pid} another-machine`,
  });
  elsewhere.tell('http://127.0.0.1:2');
  here.look();
  expect(serverIn(directory)).toEqual({ origin: 'http://127.0.0.1:2', token: 'elsewhere' });
  elsewhere.withdraw();
  here.look();
  expect(serverIn(directory)?.token).toBe('here');
  here.withdraw();
});

test('a process that has ended on this machine is seen to have', () => {
  const log = pino({ enabled: false });
  const here = new AdminAccess({ directory, log, isShared: true, token: 'here' });
  here.tell('http://127.0.0.1:1');
  const name = readFileSync(join(directory, 'server.process'), 'utf8').trim();
  const { pid } = Bun.spawnSync(['true']);
  const gone = new AdminAccess({
    directory,
    log,
    isShared: true,
    token: 'gone',
    ownProcess: name.replace(/^\d+/, String(pid)),
  });
  gone.tell('http://127.0.0.1:2');
  here.look();
  expect(serverIn(directory)?.token).toBe('here');
  [gone, here].forEach((access) => access.withdraw());
});

test('a server that has its data directory to itself says no more than where it is, and its token', () => {
  const alone = new AdminAccess({ directory, log: pino({ enabled: false }), isShared: false });
  alone.tell('http://127.0.0.1:1');
  expect(readdirSync(directory).toSorted()).toEqual(['admin.token', 'server.url']);
  alone.withdraw();
  expect(readdirSync(directory)).toEqual([]);
});

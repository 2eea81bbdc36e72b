import { beforeEach, expect, test } from 'bun:test';
import { MetadataBusyError } from '../store.ts';
import { Reconnecting } from './reconnecting.ts';

let now: number;
let attempts: number;
let reconnecting: Reconnecting;

beforeEach(() => {
  [now, attempts] = [0, 0];
  reconnecting = new Reconnecting({ now: () => now, random: () => 1 });
});

const refused = new Error('refused');

async function fails(): Promise<never> {
  attempts++;
  throw refused;
}

async function succeeds(): Promise<string> {
  attempts++;
  return 'a connection';
}

/** What becomes of a request: its connection, or why it has none. */
async function request(connect: () => Promise<string>): Promise<unknown> {
  return await reconnecting.connect(connect).catch((error: unknown) => error);
}

test('after a failure all are refused without an attempt until its time has passed', async () => {
  expect(await request(fails)).toBe(refused);
  now = 99;
  expect(await request(succeeds)).toBeInstanceOf(MetadataBusyError);
  expect(attempts).toBe(1);
  now = 100;
  expect(await request(succeeds)).toBe('a connection');
  expect(await request(succeeds)).toBe('a connection');
});

test('it waits twice as long after each failure, up to three seconds', async () => {
  const waits: number[] = [];
  await request(fails);
  for (let failure = 0; failure < 7; failure++) {
    const before = now;
    while ((await request(fails)) !== refused) now += 100;
    waits.push(now - before);
  }
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_000, 3_000]);
});

test('those who have failed together count as one', async () => {
  const failing = [0, 1, 2, 3, 4].map(() => request(fails));
  expect(await Promise.all(failing)).toEqual([refused, refused, refused, refused, refused]);
  now = 100;
  expect(await request(succeeds)).toBe('a connection');
});

test('one tries again at a time, and the others are refused meanwhile', async () => {
  await request(fails);
  now = 100;
  const slow = Promise.withResolvers<string>();
  const probe = request(() => slow.promise);
  expect(await request(succeeds)).toBeInstanceOf(MetadataBusyError);
  slow.resolve('a connection');
  expect(await probe).toBe('a connection');
  expect(await request(succeeds)).toBe('a connection');
});

test('once somebody else has reached it nobody is refused', async () => {
  await request(fails);
  reconnecting.reached();
  expect(await request(succeeds)).toBe('a connection');
});

test('processes that have failed together try again at different times', async () => {
  reconnecting = new Reconnecting({ now: () => now, random: () => 0 });
  await request(fails);
  now = 50;
  expect(await request(succeeds)).toBe('a connection');
});

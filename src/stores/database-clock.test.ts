import { beforeEach, expect, test } from 'bun:test';
import { ManualClock } from '../../test/server/manual-clock.ts';
import { createLog } from '../log/log.ts';
import { DatabaseClock } from './database-clock.ts';

const dayMs = 24 * 3_600_000;

let own: ManualClock;
let logged: string[];

beforeEach(() => {
  own = new ManualClock();
  logged = [];
});

async function clockBeside(ask: () => Promise<number>): Promise<DatabaseClock> {
  const stream = { isTTY: false, write: (line: string) => void logged.push(line) };
  return await DatabaseClock.start({ own, ask, log: await createLog({ level: 'warn', format: 'json', stream }) });
}

test("a machine whose clock is wrong goes by the database's", async () => {
  const clock = await clockBeside(() => Promise.resolve(own.now() - dayMs));
  expect(clock.now()).toBe(own.now() - dayMs);
  own.advance(5000);
  expect(clock.now()).toBe(own.now() - dayMs);
  expect(logged).toHaveLength(1);
  clock.stop();
});

test("one that is right within a second goes by its own, and so does one whose database's answer took longer than it differs", async () => {
  let tookMs = 0;
  const clock = await clockBeside(() => {
    const time = own.now() + 900;
    own.advance(tookMs);
    return Promise.resolve(time);
  });
  expect(clock.now()).toBe(own.now());
  tookMs = 20_000;
  await clock.compare();
  expect(clock.now()).toBe(own.now());
  expect(logged).toEqual([]);
  clock.stop();
});

test('one that is set while it runs goes on as before once it has been compared', async () => {
  const database = new ManualClock();
  const clock = await clockBeside(() => Promise.resolve(database.now()));
  own.set(dayMs);
  await clock.compare();
  expect(clock.now()).toBe(database.now());
  own.set(-dayMs);
  await clock.compare();
  expect(clock.now()).toBe(database.now());
  clock.stop();
});

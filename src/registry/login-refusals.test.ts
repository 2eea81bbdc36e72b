import { expect, test } from 'bun:test';
import { ManualClock } from '../../test/server/manual-clock.ts';
import type { Log } from '../log/log.ts';
import { notLooked } from '../metadata/begun.ts';
import type { Operation } from '../metadata/operation.ts';
import type { Begun } from '../metadata/store.ts';
import { LoginRefusals } from './login-refusals.ts';

function world() {
  const clock = new ManualClock();
  const ignore = (): void => undefined;
  const log: Log = {
    debug: ignore,
    info: ignore,
    warn: (fields) => void told.push(String(fields['reason'])),
    error: ignore,
    child: () => log,
  };
  const told: string[] = [];
  let writes = 0;
  const metadata = {
    writeUnsynced: <T>(operation: (begun: Begun) => Operation<T>): Promise<T> => {
      // Each event is one statement.
      writes += [...operation(notLooked)].length;
      return Promise.reject(new Error('the disk is full'));
    },
  };
  const refusals = new LoginRefusals({ metadata, clock, log });
  return { refusals, clock, told, writes: () => writes };
}

test('of who tries again and again there is one event in ten minutes, which counts those before it', () => {
  const { refusals, clock, told } = world();
  const refusal = { address: '10.0.0.1', user: 'alice', reason: 'the password is wrong' };
  for (let minute = 0; minute < 15; minute += 1) {
    refusals.record(refusal);
    clock.advance(60_000);
  }
  expect(told).toEqual(['as "alice": the password is wrong', 'as "alice": the password is wrong (9 more before)']);
});

test('of a crowd there are thirty in a minute, and how many others there were', async () => {
  const { refusals, clock, told, writes } = world();
  for (let user = 0; user < 1000; user += 1)
    refusals.record({ address: '10.0.0.1', user: `user-${user}`, reason: 'no' });
  // What could not be written keeps nobody waiting.
  await refusals.idle();
  expect(writes()).toBe(30);
  clock.advance(60_000);
  refusals.record({ address: '10.0.0.1', user: 'last', reason: 'no' });
  expect(told.at(-1)).toBe('as "last": no (970 of others not written down)');
});

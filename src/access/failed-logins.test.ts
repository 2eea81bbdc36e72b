import { expect, test } from 'bun:test';
import { FailedLogins, networkOf } from './failed-logins.ts';

function world() {
  let nowMs = 1_000_000;
  const logins = new FailedLogins(() => nowMs);
  return {
    logins,
    pass: (ms: number): void => {
      nowMs += ms;
    },
    /** Fails as often as somebody is looked at, waiting as long as it has to; returns the waits. */
    fail: (times: number, address: string, user: string): readonly number[] =>
      Array.from({ length: times }, () => {
        const waitMs = logins.waitMs(address, user);
        nowMs += waitMs;
        logins.begin(address, user);
        return waitMs;
      }),
  };
}

test('the first few are free, then each wait is twice the last, up to a bound', () => {
  const { fail } = world();
  const waits = fail(20, '10.0.0.1', 'alice');
  expect(waits.slice(0, 9)).toEqual([0, 0, 0, 0, 0, 1000, 2000, 4000, 8000]);
  expect(waits.at(-1)).toBe(5 * 60_000);
});

test('one user is kept waiting from everywhere, but not for long', () => {
  const { logins } = world();
  for (let host = 1; host <= 50; host += 1) logins.begin(`10.0.0.${host}`, 'alice');
  expect(logins.waitMs('10.9.9.9', 'alice')).toBe(30_000);
  expect(logins.waitMs('10.9.9.9', 'bob')).toBe(0);
});

test('one address is kept waiting whoever it tries', () => {
  const { logins } = world();
  for (let user = 1; user <= 10; user += 1) logins.begin('10.0.0.1', `user-${user}`);
  expect(logins.waitMs('10.0.0.1', 'alice')).toBe(32_000);
  expect(logins.waitMs('10.0.0.2', 'alice')).toBe(0);
});

test('a login that succeeds clears what was, and one that was not looked at does not count', () => {
  const { logins } = world();
  for (let attempt = 0; attempt < 6; attempt += 1) logins.begin('10.0.0.1', 'alice');
  logins.succeeded('10.0.0.1', 'alice');
  expect(logins.waitMs('10.0.0.1', 'alice')).toBe(0);
  for (let attempt = 0; attempt < 20; attempt += 1) {
    logins.begin('10.0.0.1', 'alice');
    logins.takeBack('10.0.0.1', 'alice');
  }
  expect(logins.waitMs('10.0.0.1', 'alice')).toBe(0);
});

test('all is forgotten a quarter of an hour after the last', () => {
  const { logins, fail, pass } = world();
  fail(8, '10.0.0.1', 'alice');
  pass(15 * 60_000);
  expect(fail(6, '10.0.0.1', 'alice')).toEqual([0, 0, 0, 0, 0, 1000]);
  expect(logins.waitMs('10.0.0.1', 'alice')).toBe(2000);
});

test('of ten thousand others, those that have been quiet for longest are forgotten', () => {
  const { logins } = world();
  for (let attempt = 0; attempt < 9; attempt += 1) logins.begin('10.0.0.1', 'alice');
  for (let host = 0; host < 9_999; host += 1) logins.begin(`10.1.${host >> 8}.${host & 255}`, `user-${host}`);
  expect(logins.waitMs('10.0.0.1', 'nobody')).toBeGreaterThan(0);
  logins.begin('10.2.0.1', 'one more');
  expect(logins.waitMs('10.0.0.1', 'nobody')).toBe(0);
});

test('the same that was wrong is counted once in a quarter of an hour, and of many those go that came first', () => {
  const { logins, pass } = world();
  expect(logins.isCounted('one')).toBe(false);
  logins.refused('one');
  pass(15 * 60_000 - 1);
  logins.refused('one');
  expect([logins.isCounted('one'), logins.isCounted('other')]).toEqual([true, false]);
  pass(1);
  expect(logins.isCounted('one')).toBe(false);
  logins.refused('one');
  for (let other = 0; other < 10_000; other += 1) logins.refused(`other ${other}`);
  expect([logins.isCounted('one'), logins.isCounted('other 0')]).toEqual([false, true]);
});

test.each([
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:0DB8:0001::', '2001:db8:1:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', '10.0.0.1'],
  [undefined, ''],
])('%p belongs to %p', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

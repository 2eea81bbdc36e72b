import { expect, test } from 'bun:test';
import { type Admitted, ClientTurnstile, noClientLimits } from './client-limits.ts';

function admitted(one: ReturnType<ClientTurnstile['admit']>): Admitted {
  if (!('end' in one)) throw new Error(one.message);
  return one;
}

test('without limits everything is let in, and no bytes are counted', () => {
  const turnstile = new ClientTurnstile(noClientLimits, () => 0);
  for (let each = 0; each < 1000; each++) expect(admitted(turnstile.admit('a', true)).onReceived).toBeUndefined();
});

test('a client whose uploads at once are too many is let in again when one has ended, others meanwhile', () => {
  const turnstile = new ClientTurnstile({ ...noClientLimits, uploads: 2 }, () => 0);
  const first = admitted(turnstile.admit('a', true));
  admitted(turnstile.admit('a', true));
  expect(turnstile.admit('a', true)).toMatchObject({ code: 'TOOMANYREQUESTS', headers: { 'retry-after': '1' } });
  admitted(turnstile.admit('a', false));
  admitted(turnstile.admit('b', true));
  first.end();
  admitted(turnstile.admit('a', true));
  expect(turnstile.admit('a', true)).toMatchObject({ code: 'TOOMANYREQUESTS' });
});

test("a client that has sent more than a minute's worth is refused for as long as it takes to make up for it", () => {
  let nowMs = 0;
  const turnstile = new ClientTurnstile({ ...noClientLimits, uploadBytesPerSecond: 1000 }, () => nowMs);
  const upload = admitted(turnstile.admit('a', true));
  upload.onReceived?.(60_000);
  upload.onReceived?.(4500);
  expect(turnstile.admit('a', true)).toMatchObject({ code: 'TOOMANYREQUESTS', headers: { 'retry-after': '5' } });
  admitted(turnstile.admit('a', false));
  nowMs = 4501;
  admitted(turnstile.admit('a', true));
});

test('a client that asks too often is told after how many whole seconds it may again', () => {
  let nowMs = 0;
  const turnstile = new ClientTurnstile({ ...noClientLimits, requestsPerSecond: 0.4, requestBurst: 1 }, () => nowMs);
  admitted(turnstile.admit('a', false));
  expect(turnstile.admit('a', false)).toMatchObject({ code: 'TOOMANYREQUESTS', headers: { 'retry-after': '3' } });
  nowMs = 3000;
  admitted(turnstile.admit('a', false));
});

test('who has no limits is never counted', () => {
  const turnstile = new ClientTurnstile({ ...noClientLimits, uploads: 1, requestsPerSecond: 1 }, () => 0);
  for (let each = 0; each < 10; each++) admitted(turnstile.admit(undefined, true));
});

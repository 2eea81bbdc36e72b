import { expect, test } from 'bun:test';
import { day, minute, TokenParts } from './token-parts.ts';
import { all } from '../../src/metadata/operation.ts';
import { query } from '../../src/metadata/query.ts';

const everyKey = query<Record<never, never>>()(({ db }) => db.selectFrom('signing_key').select('kid'));

test('a key that the registry has made signs until it has for long enough, and then another', async () => {
  await using parts = await TokenParts.open();
  const keys = parts.keys({ rotationMs: 30 * day });
  const { kid } = await keys.signer();
  parts.clock.advance(30 * day - 1);
  expect((await keys.signer()).kid).toBe(kid);
  parts.clock.advance(1);
  expect((await keys.signer()).kid).not.toBe(kid);
});

test('a key is there after a restart, and for every process of the registry', async () => {
  await using parts = await TokenParts.open();
  const { kid } = await parts.keys().signer();
  expect((await parts.keys().signer()).kid).toBe(kid);
  expect(await parts.keys().verifier(kid)).toBeDefined();
});

test('processes that find no key at the same time agree on one', async () => {
  await using parts = await TokenParts.open();
  const signers = await Promise.all([1, 2, 3, 4].map(async () => await parts.keys().signer()));
  expect(new Set(signers.map(({ kid }) => kid)).size).toBe(1);
});

test('a key that signs no more is known until its last token is over, and forgotten when the next one goes', async () => {
  await using parts = await TokenParts.open();
  const keys = parts.keys({ rotationMs: day });
  const { kid } = await keys.signer();
  parts.clock.advance(day);
  await keys.signer();
  parts.clock.advance(5 * minute);
  expect(await keys.verifier(kid)).toBeDefined();
  parts.clock.advance(minute);
  expect(await keys.verifier(kid)).toBeUndefined();
  parts.clock.advance(day);
  await keys.signer();
  const left = await parts.metadata.read(() => all(everyKey, {}));
  expect(left.map((row) => row.kid)).not.toContain(kid);
  expect(left).toHaveLength(2);
});

test('nobody knows a key that was never made', async () => {
  await using parts = await TokenParts.open();
  expect(await parts.keys().verifier('none')).toBeUndefined();
});

test('a clock that is set back makes no key older', async () => {
  await using parts = await TokenParts.open();
  const keys = parts.keys({ rotationMs: day });
  const { kid } = await keys.signer();
  parts.clock.set(-10 * day);
  expect((await keys.signer()).kid).toBe(kid);
});

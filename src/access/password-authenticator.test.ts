import { expect, test } from 'bun:test';
import type { PasswordHashes } from './htpasswd.ts';
import { costOf } from './htpasswd.ts';
import { PasswordAuthenticator } from './password-authenticator.ts';
import { RememberedLogins } from './remembered-logins.ts';
import { dummyHash, Verifications, verifyBcrypt } from './verifications.ts';

const hashOf = async (password: string, cost = 4): Promise<string> =>
  await Bun.password.hash(password, { algorithm: 'bcrypt', cost });

interface Looked {
  readonly secret: string;
  readonly hash: string;
}

function world(users: Readonly<Record<string, string>>) {
  let hashes: PasswordHashes = new Map(Object.entries(users));
  let nowMs = 0;
  const looked: Looked[] = [];
  const authenticator = new PasswordAuthenticator({
    passwords: { hashes: () => Promise.resolve(hashes) },
    remembered: new RememberedLogins(() => nowMs),
    verify: async (secret, hash) => {
      looked.push({ secret, hash });
      return await verifyBcrypt(secret, hash);
    },
  });
  return {
    looked,
    authenticator,
    basic: (name: string, secret: string) => ({ scheme: 'basic' as const, name, secret }),
    change: (to: Readonly<Record<string, string>>): void => {
      hashes = new Map(Object.entries(to));
    },
    pass: (ms: number): void => {
      nowMs += ms;
    },
  };
}

test('a user is known by its password, and remembered for a few minutes, as long as the hash is the same', async () => {
  const { authenticator, basic, change, pass } = world({ alice: await hashOf('x') });
  const alice = basic('alice', 'x');
  expect(await authenticator.recall(alice)).toBeUndefined();
  expect(await authenticator.authenticate(alice)).toMatchObject({ outcome: 'known', identity: { name: 'alice' } });
  expect(await authenticator.recall(alice)).toMatchObject({ kind: 'user', name: 'alice' });
  expect(await authenticator.recall(basic('alice', 'y'))).toBeUndefined();
  pass(5 * 60_000);
  expect(await authenticator.recall(alice)).toBeUndefined();
  await authenticator.authenticate(alice);
  change({ alice: await hashOf('x') });
  expect(await authenticator.recall(alice)).toBeUndefined();
  change({});
  expect(await authenticator.recall(alice)).toBeUndefined();
});

test('who is no user costs as much as a wrong password', async () => {
  const { authenticator, basic, looked } = world({ alice: await hashOf('x', 5), bob: await hashOf('y', 5) });
  await authenticator.authenticate(basic('alice', 'guess'));
  await authenticator.authenticate(basic('eve', 'guess'));
  expect(looked.map(({ hash }) => costOf(hash))).toEqual([5, 5]);
});

test('where users have hashes of several costs, so have those who are none, each always the same', async () => {
  const { authenticator, basic, looked } = world({ alice: await hashOf('x', 4), bob: await hashOf('y', 5) });
  const costsOfNobody = async (): Promise<readonly number[]> => {
    looked.length = 0;
    for (let nobody = 0; nobody < 40; nobody += 1) await authenticator.authenticate(basic(`nobody-${nobody}`, 'x'));
    return looked.map(({ hash }) => costOf(hash));
  };
  const costs = await costsOfNobody();
  expect(new Set(costs)).toEqual(new Set([4, 5]));
  expect(await costsOfNobody()).toEqual(costs);
});

test('the password of nobody is right for nobody', async () => {
  expect(await verifyBcrypt('x', dummyHash(4))).toBe(false);
});

test('a long password is what htpasswd takes it for, an empty one is none, nor is one with a NUL in it', async () => {
  const long = 'a'.repeat(80);
  expect(await verifyBcrypt(long, await hashOf('a'.repeat(72)))).toBe(true);
  expect(await verifyBcrypt('', await hashOf('x'))).toBe(false);
  expect(await verifyBcrypt('x\0y', await hashOf('x'))).toBe(false);
});

test('passwords are looked at a few at a time, and who comes when too many wait is sent away', async () => {
  const verifications = new Verifications(2);
  const gate = Promise.withResolvers<void>();
  let running = 0;
  let most = 0;
  const work = async (): Promise<boolean> => {
    running += 1;
    most = Math.max(most, running);
    await gate.promise;
    running -= 1;
    return true;
  };
  const all = Array.from({ length: 103 }, async () => await verifications.run(work));
  gate.resolve();
  const outcomes = await Promise.all(all);
  expect(most).toBe(2);
  expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(1);
  expect(await verifications.run(() => Promise.resolve('again'))).toBe('again');
});

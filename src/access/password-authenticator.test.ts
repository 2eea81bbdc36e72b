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
    refused: new RememberedLogins(() => nowMs),
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
  const costsOfNobody = async (secret: string): Promise<readonly number[]> => {
    looked.length = 0;
    for (let nobody = 0; nobody < 40; nobody += 1) await authenticator.authenticate(basic(`nobody-${nobody}`, secret));
    return looked.map(({ hash }) => costOf(hash));
  };
  const costs = await costsOfNobody('x');
  expect(new Set(costs)).toEqual(new Set([4, 5]));
  expect(await costsOfNobody('y')).toEqual(costs);
});

class CountedHashes extends Map<string, string> {
  looks = 0;

  override values(): MapIterator<string> {
    this.looks += 1;
    return super.values();
  }
}

test('which costs there are is found out once for each version of the password file', async () => {
  const hashes = new CountedHashes([['alice', await hashOf('x')]]);
  const looked: string[] = [];
  const authenticator = new PasswordAuthenticator({
    passwords: { hashes: () => Promise.resolve(hashes) },
    remembered: new RememberedLogins(() => 0),
    refused: new RememberedLogins(() => 0),
    verify: (_, hash) => {
      looked.push(hash);
      return Promise.resolve(false);
    },
  });
  for (const name of ['alice', 'eve', 'mallory', 'nobody']) {
    await authenticator.authenticate({ scheme: 'basic', name, secret: 'guess' });
  }
  expect(hashes.looks).toBe(1);
  // Known or not, each name costs one comparison of the same kind.
  expect(looked.map(costOf)).toEqual([4, 4, 4, 4]);
});

test('the same wrong password is compared once in a few minutes, whoever it is of, and anew with another hash', async () => {
  const { authenticator, basic, looked, change, pass } = world({ alice: await hashOf('x') });
  const tryBoth = async (): Promise<void> => {
    for (const name of ['alice', 'eve']) {
      for (let time = 0; time < 3; time += 1) {
        expect((await authenticator.authenticate(basic(name, 'y'))).outcome).toBe('refused');
      }
    }
  };
  await tryBoth();
  expect(looked).toHaveLength(2);
  pass(5 * 60_000);
  await tryBoth();
  expect(looked).toHaveLength(4);
  change({ alice: await hashOf('y') });
  expect((await authenticator.authenticate(basic('alice', 'y'))).outcome).toBe('known');
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

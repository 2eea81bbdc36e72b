import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseHtpasswd } from '../../src/access/htpasswd.ts';
import { passwordLines } from './guarded-registry.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

let directory = '';
let config = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-auth-'));
  config = join(directory, 'wherry.yaml');
  const users = join(directory, 'htpasswd');
  await writeFile(users, await passwordLines(['alice', 'bob']));
  await writeFile(
    config,
    `auth:
  htpasswd: ${users}
groups:
  dev: [bob]
access:
  - who: anonymous
    repositories: public/**
    actions: pull
  - name: people
    who: { users: [alice], groups: [dev, "corp:dev"] }
    repositories: team/**
    actions: [pull, push]
  - who: { claims: { iss: ci, repository: acme/* } }
    repositories: team/ci
    actions: push
`,
  );
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function auth(args: readonly string[], stdin = '') {
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('WHERRY_'));
  const child = Bun.spawn([process.execPath, main, 'auth', ...args], {
    env: Object.fromEntries(environment),
    stdin: new TextEncoder().encode(stdin),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

const explain = async (...args: readonly string[]) => await auth(['explain', ...args, '--config', config]);

test.each([
  [['anonymous', 'pull', 'public/x'], 0, 'anonymous may pull in public/x: access[0] allows it (CONFIG:6).'],
  [['user:alice', 'push', 'team/app'], 0, 'user alice may push in team/app: people allows it (CONFIG:9).'],
  [['user:bob', 'pull', 'team/app'], 0, 'user bob (in dev) may pull in team/app: people allows it (CONFIG:9).'],
  [['user:corp:eve', 'pull', 'team/app', '--group', 'corp:dev'], 0, 'user corp:eve (in corp:dev) may pull'],
  [['workload:job', 'push', 'team/ci', '--claim', 'iss=ci', '--claim', 'repository=acme/app'], 0, 'workload job may'],
  [
    ['workload:job', 'push', 'team/ci', '--claim', 'iss=ci', '--claim', 'repository=evil/app'],
    1,
    'workload job may not',
  ],
  [['workload:job', 'push', 'team/ci', '--claim', 'repository=acme/app'], 1, 'workload job may not'],
  [['robot:alice', 'pull', 'team/app'], 1, 'robot alice may not pull in team/app: no rule allows it.'],
  [['operator', 'purge', 'team/app'], 0, 'operator may purge'],
])('explains %j', async (args, code, text) => {
  const explained = await explain(...args);
  expect(explained.out.replaceAll(config, 'CONFIG')).toStartWith(text);
  expect([explained.code, explained.err]).toEqual([code, '']);
});

test('says of each rule why it does not allow something', async () => {
  const { out } = await explain('user:alice', 'delete', 'public/x');
  expect(out.replaceAll(config, 'CONFIG')).toBe(`user alice may not delete in public/x: no rule allows it.
  access[0] (CONFIG:6) does not have delete
  people (CONFIG:9) does not have delete, is not for public/x
  access[2] (CONFIG:13) is not for user alice, does not have delete, is not for public/x
`);
});

test.each(['purge', 'admin'])('says that %s takes a rule for all repositories', async (action) => {
  const file = join(directory, 'narrow.yaml');
  await writeFile(file, "access: [{ name: team, who: { users: eve }, repositories: 'team/**', actions: all }]\n");
  const { out, code } = await auth(['explain', 'user:eve', action, 'team/app', '--config', file]);
  expect(code).toBe(1);
  expect(out.replaceAll(file, 'FILE')).toBe(
    `user eve may not ${action} in team/app: team is not for all repositories, and ${action} takes a rule that is ('**') (FILE:1).
  team (FILE:1) is not for all repositories
`,
  );
  expect((await auth(['explain', 'user:eve', 'restore', 'team/app', '--config', file])).code).toBe(0);
});

test('says so in JSON too', async () => {
  const { out } = await explain('user:bob', 'pull', 'team/app', '--json');
  expect(JSON.parse(out)).toMatchObject({
    who: 'user bob',
    groups: ['dev'],
    action: 'pull',
    repository: 'team/app',
    allowed: true,
    rule: 'people',
    where: `${config}:9`,
  });
});

test.each([
  [['alice', 'pull', 'x'], 'WHO cannot be "alice"'],
  [['user:alice', 'pul', 'x'], 'did you mean pull?'],
  [['user:alice', 'pull', 'X'], 'letters must be lower-case'],
  [['user:alice', 'pull', 'x', '--group', 'dev'], 'such as corp:dev or certificate:dev'],
  [['user:alice', 'pull', 'x', '--claim', 'x'], '--claim takes NAME=VALUE'],
])('refuses %j', async (args, text) => {
  const { err, code } = await explain(...args);
  expect(code).toBe(2);
  expect(err).toContain(text);
});

test('checks users and rules', async () => {
  expect(await auth(['check', '--config', config])).toEqual({
    out: '3 rules, 2 users in the password file: nothing to remark.\n',
    err: '',
    code: 0,
  });
  const wrong = join(directory, 'wrong.yaml');
  await writeFile(wrong, 'access:\n  - who: everyone\n    repositories: x\n    actions: pull\n');
  const checked = await auth(['check', '--config', wrong]);
  expect(checked.code).toBe(1);
  expect(checked.out).toStartWith(`${wrong}:2: access[0].who cannot be "everyone"`);
});

test('makes a line for the password file from the standard input', async () => {
  const { out, err, code } = await auth(['hash', 'carol'], 'a pass word\nmore\n');
  expect([code, err]).toEqual([0, '']);
  const parsed = parseHtpasswd(out, 'line');
  const hash = parsed.ok ? (parsed.hashes.get('carol') ?? '') : '';
  expect(hash).toStartWith('$2y$10$');
  expect(await Bun.password.verify('a pass word', hash)).toBe(true);
});

test.each([
  ['carol', '', 'standard input'],
  ['carol', 'x'.repeat(73), 'no more than 72'],
  ['a:b', 'x', 'no colon'],
  ['#a', 'x', 'no colon'],
])('makes none for %s with %j', async (name, password, text) => {
  const { out, err, code } = await auth(['hash', name], password);
  expect([out, code]).toEqual(['', 2]);
  expect(err).toContain(text);
});

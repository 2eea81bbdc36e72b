import { expect, test } from 'bun:test';
import { utimes, writeFile } from 'node:fs/promises';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { pushImage } from '../admin/pushed-images.ts';
import { freshBytes } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { basic, GuardedRegistry, passwordLines, passwordOf } from './guarded-registry.ts';

const access = [
  { who: 'anonymous', repositories: 'public/**', actions: 'pull' },
  { who: { users: ['alice'] }, repositories: '**', actions: ['pull', 'push', 'tag-overwrite', 'delete'] },
];
const start = async (settings = {}): Promise<GuardedRegistry> =>
  await GuardedRegistry.start(['alice', 'bob'], { access }, settings);

async function ping(guarded: GuardedRegistry, authorization?: string): Promise<Response> {
  return await guarded.registry.send('/v2/', authorization === undefined ? {} : { headers: { authorization } });
}

test('a client is asked to log in where it asks whether it has to, and is let in with its password', async () => {
  await using guarded = await start({ 'auth.tokens.serve': 'off' });
  const asked = await ping(guarded);
  await expectRefusal(asked, 401, 'UNAUTHORIZED');
  expect(asked.headers.get('www-authenticate')).toBe('Basic realm="wherry", charset="UTF-8"');
  expect((await ping(guarded, basic('alice', passwordOf('alice')))).status).toBe(200);
  // Who may do nothing is known all the same.
  expect((await ping(guarded, basic('bob', passwordOf('bob')))).status).toBe(200);
});

test('whoever logs in pushes, pulls and deletes', async () => {
  await using guarded = await start();
  const { digest, blobs } = await pushImage(guarded.pusher('alice'), 'team/app', { tags: ['x'] });
  for (const path of [`manifests/x`, `manifests/${digest}`, `blobs/${blobs[0]}`, 'tags/list', `referrers/${digest}`]) {
    expect([path, (await guarded.send('alice', `/v2/team/app/${path}`)).status]).toEqual([path, 200]);
  }
  expect((await guarded.send('alice', '/v2/team/app/manifests/x', { method: 'DELETE' })).status).toBe(202);
});

test.each([
  ['a wrong password', basic('alice', 'guess')],
  ['an empty password', basic('alice', '')],
  ["another user's password", basic('alice', passwordOf('bob'))],
  ['a user that is none', basic('eve', passwordOf('eve'))],
  ['a token that is none', 'Bearer guess'],
  ['something that is no base64', 'Basic !!!'],
  ['something without a colon', `Basic ${Buffer.from('alice').toString('base64')}`],
  ['something that is no UTF-8', 'Basic /zr/'],
  ['a scheme that is none', 'Digest username=alice'],
])('%s is refused also where nobody has to log in', async (_, authorization) => {
  await using guarded = await start();
  await guarded.pusher('alice').pushBlob('public/app', freshBytes());
  for (const path of ['/v2/', '/v2/public/app/tags/list', '/metrics', '/admin/v1/status']) {
    const answer = await guarded.registry.send(path, { headers: { authorization } });
    await expectRefusal(answer, 401, 'UNAUTHORIZED');
    expect(answer.headers.get('www-authenticate')).toStartWith('Bearer ');
  }
});

test('a name and a password that are both empty are those of a client that has none', async () => {
  await using guarded = await start();
  await pushImage(guarded.pusher('alice'), 'public/app', { tags: ['x'] });
  const headers = { authorization: basic('', '') };
  expect((await guarded.registry.send('/v2/public/app/manifests/x', { headers })).status).toBe(200);
  expect((await guarded.registry.send('/v2/', { headers })).status).toBe(401);
});

test('who guesses is slowed down, by address and user, and told for how long; who is in stays in', async () => {
  await using guarded = await start();
  expect((await ping(guarded, basic('bob', passwordOf('bob')))).status).toBe(200);
  for (let guess = 1; guess <= 5; guess += 1) {
    expect((await ping(guarded, basic('alice', `guess ${guess}`))).status).toBe(401);
  }
  const slowed = await ping(guarded, basic('alice', passwordOf('alice')));
  await expectRefusal(slowed, 429, 'TOOMANYREQUESTS');
  expect(slowed.headers.get('retry-after')).toBe('1');
  // Nobody else logs in from there either, but for who has a moment ago.
  expect((await ping(guarded, basic('eve', 'x'))).status).toBe(429);
  expect((await ping(guarded, basic('bob', passwordOf('bob')))).status).toBe(200);
  guarded.registry.clock.advance(1000);
  expect((await ping(guarded, basic('alice', 'guess 6'))).status).toBe(401);
  expect((await ping(guarded, basic('alice', 'guess 7'))).headers.get('retry-after')).toBe('2');
  guarded.registry.clock.advance(2000);
  expect((await ping(guarded, basic('alice', passwordOf('alice')))).status).toBe(200);
  // That clears it.
  expect((await ping(guarded, basic('eve', 'x'))).status).toBe(401);
});

test('a program that goes on with a password of before keeps nobody from logging in, and can guess nothing', async () => {
  await using guarded = await start();
  const { clock } = guarded.registry;
  const stale = basic('alice', 'the one of before');
  for (let hour = 0; hour < 8; hour += 1) {
    for (let time = 0; time < 12; time += 1) {
      expect((await ping(guarded, stale)).status).toBe(401);
      clock.advance(5 * 60_000);
    }
    expect((await ping(guarded, basic('alice', passwordOf('alice')))).status).toBe(200);
    expect((await ping(guarded, basic('bob', passwordOf('bob')))).status).toBe(200);
    clock.advance(5 * 60_000);
  }
  // Other ones count as ever, beside it.
  for (let guess = 1; guess <= 5; guess += 1) await ping(guarded, basic('alice', `guess ${guess}`));
  expect((await ping(guarded, basic('alice', 'guess 6'))).status).toBe(429);
  expect((await ping(guarded, basic('alice', passwordOf('alice')))).status).toBe(429);
  expect((await ping(guarded, basic('alice', 'guess 1'))).status).toBe(401);
});

test('a client that sends many requests at once has tried its password once', async () => {
  await using guarded = await start();
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => await ping(guarded, basic('alice', passwordOf('alice')))),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
});

test('a hundred guesses at once are no more than those that are free', async () => {
  await using guarded = await start();
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, guess) => await ping(guarded, basic('alice', `guess ${guess}`))),
  );
  expect(answers.filter(({ status }) => status === 401)).toHaveLength(5);
  expect(answers.filter(({ status }) => status === 429)).toHaveLength(95);
});

test('refused logins are in the event log, without passwords, and no more of them than somebody may want to read', async () => {
  await using guarded = await start();
  for (let guess = 0; guess < 20; guess += 1) {
    await ping(guarded, basic('alice', 'hunter2'));
    guarded.registry.clock.advance(60_000);
  }
  await ping(guarded, basic('e\u202eve\n', 'hunter2'));
  await guarded.registry.stop();
  const events = guarded.registry.rows<{ actor: string; reason: string }>(
    "select actor, reason from event where kind = 'login.refused' order by id",
  );
  expect(new Set(events.map(({ actor }) => actor))).toEqual(new Set(['client 127.0.0.1']));
  expect(events.map(({ reason }) => reason.replace(/\d+ more/, 'some more'))).toEqual([
    'as "alice": the password is wrong',
    'as "alice": the password is wrong (some more before)',
    'as "e\\u202eve\\n": there is no such user',
  ]);
  expect(JSON.stringify(guarded.registry.logged)).not.toContain('hunter2');
});

test('what somebody does is written down with their name, and the request', async () => {
  await using guarded = await start();
  await pushImage(guarded.pusher('alice'), 'team/app', { tags: ['x'] });
  const answer = await guarded.send('alice', '/v2/team/app/manifests/x', {
    method: 'DELETE',
    headers: { 'user-agent': `tidy/1.0 ${'x'.repeat(300)}` },
  });
  const [event] = guarded.registry.rows<{ actor: string }>("select actor from event where kind = 'tag.deleted'");
  expect(event?.actor).toStartWith('user alice 127.0.0.1 tidy/1.0 xxx');
  expect(event?.actor).toEndWith(` (request ${answer.headers.get('x-request-id')})`);
  expect(event?.actor.length).toBeLessThanOrEqual(200);
});

test('the password file is read again when it changes; one that makes no sense changes nothing', async () => {
  await using guarded = await start();
  const { registry, passwordFile } = guarded;
  const change = async (text: string): Promise<void> => {
    await writeFile(passwordFile, text);
    // A file system whose times are coarse would not show it.
    await utimes(passwordFile, new Date(), new Date(registry.clock.now()));
    registry.clock.advance(1000);
  };
  const carol = basic('carol', passwordOf('carol'));
  expect((await ping(guarded, basic('alice', passwordOf('alice')))).status).toBe(200);
  expect((await ping(guarded, carol)).status).toBe(401);
  await change(await passwordLines(['carol']));
  expect((await ping(guarded, carol)).status).toBe(200);
  // Who is no longer in it is out at once, remembered or not.
  expect((await ping(guarded, basic('alice', passwordOf('alice')))).status).toBe(401);
  await change('carol:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n');
  expect((await ping(guarded, carol)).status).toBe(200);
  expect(registry.logged.join('')).toContain('the users stay as they were');
  expect(registry.logged.join('')).not.toContain('qUqP5cyxm6YcTAhz05Hph5gvu9M');
});

test('a HEAD of who may not push changes nothing, and one of who may renews the lease', async () => {
  const rules = [
    { who: { users: ['alice'] }, repositories: '**', actions: 'all' },
    { who: { users: ['bob'] }, repositories: '**', actions: 'pull' },
  ];
  await using guarded = await GuardedRegistry.start(['alice', 'bob'], { access: rules }, { 'windows.lease': '1h' });
  const { registry } = guarded;
  const { digest, blobs } = await pushImage(guarded.pusher('alice'), 'team/app', { tags: ['x'] });
  const leases = () =>
    registry.rows(
      'select lease_until from link union all select lease_until from manifest union all select touched_at from tag',
    );
  registry.clock.advance(45 * 60_000);
  const before = leases();
  const paths = [`manifests/x`, `manifests/${digest}`, `blobs/${blobs[0]}`];
  for (const path of paths) {
    const answer = await guarded.send('bob', `/v2/team/app/${path}`, { method: 'HEAD' });
    expect([path, answer.status]).toEqual([path, 200]);
  }
  expect(leases()).toEqual(before);
  for (const path of paths) await guarded.send('alice', `/v2/team/app/${path}`, { method: 'HEAD' });
  expect(leases()).not.toEqual(before);
});

test.each([
  ['pull', 200, 401],
  ['all', 200, 201],
])('with auth.anonymous %p everybody may, beside what the rules say', async (anonymous, pull, push) => {
  await using guarded = await start({ 'auth.anonymous': anonymous });
  await pushImage(guarded.pusher('alice'), 'team/app', { tags: ['x'] });
  expect((await guarded.send(undefined, '/v2/team/app/manifests/x')).status).toBe(pull);
  const digest = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  const pushed = await guarded.send(undefined, `/v2/team/app/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    headers: { 'content-length': '1' },
    body: new Uint8Array(),
  });
  expect(pushed.status === 202 ? 201 : pushed.status).toBe(push);
  // To administer is for nobody who has not logged in.
  expect((await guarded.send(undefined, '/admin/v1/status')).status).toBe(401);
});

test('whose pulls count, by a policy of retention, is told by who has logged in', async () => {
  const rules = [{ who: 'authenticated', repositories: '**', actions: ['pull', 'push'] }];
  await using guarded = await GuardedRegistry.start(['alice', 'scan-nightly'], { access: rules });
  const { registry, passwordFile } = guarded;
  const policies = parsePolicySet([{ repositories: '**', default: 'keep', ignorePullsBy: { users: 'scan-*' } }]);
  if (!policies.ok) throw new Error(policies.problems.join('\n'));
  await registry.stop();
  registry.policies = policies.set;
  await registry.resume({ 'auth.htpasswd': passwordFile });
  await pushImage(guarded.pusher('alice'), 'team/app', { tags: ['x', 'y'] });
  expect((await guarded.send('scan-nightly', '/v2/team/app/manifests/x')).status).toBe(200);
  expect((await guarded.send('alice', '/v2/team/app/manifests/y')).status).toBe(200);
  // What is still in memory is written.
  await registry.stop();
  expect(registry.rows('select name from tag where last_pulled_at is not null')).toEqual([{ name: 'y' }]);
});

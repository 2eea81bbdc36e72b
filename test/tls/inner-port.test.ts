import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { basic, GuardedRegistry, passwordOf } from '../access/guarded-registry.ts';
import { expectRefusal } from '../http/refusal.ts';

const access = [{ who: { users: ['alice'] }, repositories: '**', actions: ['pull', 'push', 'admin'] }];

/** A registry with a front before it, and the port behind that. */
async function start() {
  const guarded = await GuardedRegistry.start(
    ['alice'],
    { access },
    {
      'limits.connections': '1000',
      'http.trustedProxies': '127.0.0.1',
      'log.level': 'info',
      'log.requests': 'all',
    },
  );
  const read = async (name: string) => (await readFile(join(guarded.registry.dataDirectory, name), 'utf8')).trim();
  const origin = await read('server.url');
  const operator = `Bearer ${await read('admin.token')}`;
  expect(origin).not.toBe(guarded.registry.origin);
  const ask = async (path: string, headers: Record<string, string> = {}) => await fetch(origin + path, { headers });
  return { guarded, ask, operator };
}

test('behind a front a stranger gets nothing but the admin API, and that by the token of this run only', async () => {
  const { guarded, ask, operator } = await start();
  await using _ = guarded;
  const alice = basic('alice', passwordOf('alice'));
  expect((await guarded.registry.send('/v2/', { headers: { authorization: alice } })).status).toBe(200);
  for (const authorization of [alice, operator]) {
    for (const path of ['/', '/v2/', '/v2/_catalog', '/v2/team/app/tags/list', '/token', '/metrics', '/healthz']) {
      await expectRefusal(await ask(path, { authorization }), 403, 'DENIED');
    }
  }
  for (const path of ['/admin/v1/status', '/admin/v1/openapi.json', '/admin/v1/nowhere']) {
    await expectRefusal(await ask(path), 401, 'UNAUTHORIZED');
    await expectRefusal(await ask(path, { authorization: alice }), 401, 'UNAUTHORIZED');
  }
  expect((await ask('/admin/v1/status', { authorization: operator })).status).toBe(200);
});

test('passwords cannot be tried behind a front, and nothing is believed there of where a request comes from', async () => {
  const { guarded, ask } = await start();
  await using _ = guarded;
  const headers = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-host': 'elsewhere.example' };
  for (const path of ['/admin/v1/status', '/token?service=x', '/v2/']) {
    for (let guess = 0; guess < 10; guess++) {
      const answer = await ask(path, { ...headers, authorization: basic('alice', `guess ${guess}`) });
      expect([401, 403]).toContain(answer.status);
      expect([...answer.headers.values()].join()).not.toContain('elsewhere.example');
    }
  }
  // Nobody has failed to log in: alice is not slowed.
  const answer = await guarded.registry.send('/v2/', {
    headers: { authorization: basic('alice', passwordOf('alice')) },
  });
  expect(answer.status).toBe(200);
  expect(guarded.registry.rows("select * from event where kind = 'login.refused'")).toEqual([]);
  expect(guarded.registry.logged.join('')).not.toContain('203.0.113.9');
});

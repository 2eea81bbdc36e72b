import { expect, test } from 'bun:test';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ServedRegistry } from '../http/served-registry.ts';

const password = 'correct-horse-battery-staple';
const others = [
  'wrong-password-4711',
  'bearer-token-0815',
  'query-secret-2342',
  'userinfo-secret-6502',
  'basic-query-77',
];

function basic(name: string, secret: string): string {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`;
}

test('no password, token or secret of a URL is in the log, an event, the audit file, an answer or a metric', async () => {
  await using registry = await ServedRegistry.start();
  await registry.stop();
  const users = join(registry.dataDirectory, 'htpasswd');
  const file = join(registry.dataDirectory, 'audit.jsonl');
  await writeFile(users, `alice:${await Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })}\n`);
  await registry.resume({
    'auth.htpasswd': users,
    'auth.anonymous': 'pull',
    'audit.file': file,
    'log.level': 'debug',
    'log.requests': 'all',
  });
  const token = (await readFile(join(registry.dataDirectory, 'admin.token'), 'utf8')).trim();
  const answers: string[] = [];
  const send = async (path: string, authorization: string, method = 'GET'): Promise<number> => {
    const answer = await registry.send(path, { method, headers: { authorization } });
    answers.push(JSON.stringify([...answer.headers]), await answer.text());
    return answer.status;
  };
  const [wrong = '', bearer = '', query = '', userinfo = '', both = ''] = others;
  expect(await send('/v2/', basic('alice', password))).toBe(200);
  expect(await send('/v2/', basic('alice', wrong))).toBe(401);
  expect(await send('/v2/', `Bearer ${bearer}`)).toBe(401);
  expect(await send('/v2/', `Digest username="alice", response="${bearer}"`)).toBe(401);
  for (const path of [`/v2/team/app/manifests/x?token=${query}`, `/v2/team/app/blobs/uploads/?password=${query}`]) {
    await send(path, basic('alice', password), 'POST');
  }
  expect(await send(`/v2/team/app/blobs/uploads/?digest=${query}`, basic('alice', password), 'POST')).toBe(403);
  await send(`/v2/_catalog?n=${both}`, basic('alice', both));
  await send(`/admin/v1/trash?secret=${query}`, basic('alice', password));
  await send(`/admin/v1/events?by=${query}`, `Bearer ${token}`);
  await send('/admin/v1/collector/pause', `Bearer ${token}`, 'POST');
  answers.push(await raw(registry, `GET http://alice:${userinfo}@${registry.host}/v2/ HTTP/1.1`));
  answers.push(await raw(registry, `PUT http://alice:${userinfo}@${registry.host}/v2/a/manifests/x HTTP/1.1`));
  answers.push(await (await registry.send('/metrics', { headers: { authorization: `Bearer ${token}` } })).text());
  await registry.stop();

  const events = JSON.stringify(registry.rows('select * from event'));
  expect(events).toContain('access.denied');
  expect(events).toContain('login.refused');
  const left = {
    answers: answers.join('\n'),
    log: registry.logged.join('\n'),
    events,
    file: await readFile(file, 'utf8'),
  };
  for (const secret of [password, token, ...others]) {
    const forms = [secret, Buffer.from(`alice:${secret}`).toString('base64'), encodeURIComponent(secret)];
    for (const [where, text] of Object.entries(left)) {
      for (const form of forms) expect([where, secret, text.includes(form)]).toEqual([where, secret, false]);
    }
  }
});

/** Sends a request as it stands, which fetch would not. */
async function raw(registry: ServedRegistry, line: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = '';
  const socket = connect(registry.port, '127.0.0.1', () => {
    socket.write(`${line}\r\nHost: ${registry.host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  });
  socket.on('data', (bytes) => (text += bytes.toString()));
  socket.on('close', () => resolve(text));
  socket.on('error', reject);
  return await promise;
}

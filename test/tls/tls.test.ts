import { expect, test } from 'bun:test';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { StartupError } from '../../src/startup-error.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { ChangingFiles, pathOf } from './certificates/certificates.ts';
import { ask, TlsClient } from './tls-client.ts';

const withTls: Settings = { 'tls.certificate': pathOf('first.crt'), 'tls.key': pathOf('first.key') };

async function push(registry: ServedRegistry, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const url = `${registry.origin}/v2/app/blobs/uploads/?digest=${digestOf(bytes)}`;
  const pushed = await ask(url, undefined, { method: 'POST', body: bytes });
  expect(pushed.status).toBe(201);
  return `/v2/app/blobs/${digestOf(bytes)}`;
}

test('what is pushed over TLS is pulled over TLS, byte for byte', async () => {
  await using registry = await ServedRegistry.start(withTls);
  expect(registry.origin).toStartWith('https://127.0.0.1:');
  const bytes = freshBytes(3_000_000);
  const path = await push(registry, bytes);
  const pulled = await ask(registry.origin + path);
  expect(pulled.status).toBe(200);
  expect(digestOf(await pulled.bytes())).toBe(digestOf(bytes));
});

test('a location that is a whole URL has https in it', async () => {
  await using registry = await ServedRegistry.start({ ...withTls, 'http.location': 'absolute' });
  const opened = await ask(`${registry.origin}/v2/app/blobs/uploads/`, undefined, { method: 'POST' });
  expect(opened.headers.get('location')).toStartWith(`${registry.origin}/v2/app/blobs/uploads/`);
});

test.skipIf(Bun.which('curl') === null)('curl pulls, with TLS 1.2 and 1.3, and not with less', async () => {
  await using registry = await ServedRegistry.start(withTls);
  const curl = async (...options: readonly string[]): Promise<number> => {
    const trusting = ['--silent', '--output', '/dev/null', '--cacert', pathOf('authority.crt')];
    return await Bun.spawn(['curl', ...trusting, ...options, `${registry.origin}/v2/`]).exited;
  };
  expect(await curl('--tls-max', '1.2')).toBe(0);
  expect(await curl('--tlsv1.3')).toBe(0);
  expect(await curl('--tls-max', '1.1')).not.toBe(0);
});

test('TLS 1.1 is refused', async () => {
  await using registry = await ServedRegistry.start(withTls);
  using client = await TlsClient.connect(registry.port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' });
  expect(client.error?.message).toMatch(/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/i);
});

test('an exchange of the certificate drops no connection: a pull under way goes on, new ones see the new one', async () => {
  await using files = await ChangingFiles.with('first');
  await using registry = await ServedRegistry.start({ 'tls.certificate': files.certificate, 'tls.key': files.key });
  // More than the buffers of the system and of the process hold.
  const bytes = freshBytes(40_000_000);
  const path = await push(registry, bytes);

  using pulling = await TlsClient.connect(registry.port);
  using resting = await TlsClient.connect(registry.port);
  expect([pulling.serverName, resting.serverName]).toEqual(['first', 'first']);
  resting.receive();
  resting.write(`HEAD ${path} HTTP/1.1\r\nHost: registry\r\n\r\n`);
  await until('the first answer is there', () => resting.received.includes('200 OK'));
  // Nothing is read of it yet: the server is in the middle of the answer.
  pulling.write(`GET ${path} HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n\r\n`);

  await files.become('second');
  await until('the new certificate is shown', async () => {
    using fresh = await TlsClient.connect(registry.port);
    return fresh.serverName === 'second';
  });

  expect([pulling.isClosed, resting.isClosed]).toEqual([false, false]);
  const before = resting.received.byteLength;
  resting.write(`HEAD ${path} HTTP/1.1\r\nHost: registry\r\n\r\n`);
  await until('the old connection is answered again', () => resting.received.byteLength > before);
  pulling.receive();
  await until('the pull has ended', () => pulling.isClosed);
  const { received } = pulling;
  expect(digestOf(new Uint8Array(received.subarray(received.indexOf('\r\n\r\n') + 4)))).toBe(digestOf(bytes));
});

test('a registry that is stopped lets a pull over TLS come to its end', async () => {
  await using registry = await ServedRegistry.start({ ...withTls, 'http.drain': '20s' });
  const bytes = freshBytes(40_000_000);
  const path = await push(registry, bytes);
  using pulling = await TlsClient.connect(registry.port);
  pulling.write(`GET ${path} HTTP/1.1\r\nHost: registry\r\n\r\n`);
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  pulling.socket.once('readable', resolve);
  await begun;
  const stopped = registry.stop();
  pulling.receive();
  await until('the pull has ended', () => pulling.isClosed);
  const { received } = pulling;
  expect(digestOf(new Uint8Array(received.subarray(received.indexOf('\r\n\r\n') + 4)))).toBe(digestOf(bytes));
  await stopped;
});

test('a new certificate that cannot be used leaves the old one in its place', async () => {
  await using files = await ChangingFiles.with('first');
  await using registry = await ServedRegistry.start({ 'tls.certificate': files.certificate, 'tls.key': files.key });
  await Bun.write(files.certificate, 'no certificate');
  await until('it is warned of', () =>
    registry.logged.some((line) => line.includes('the certificate of before is kept')),
  );
  using client = await TlsClient.connect(registry.port);
  expect(client.serverName).toBe('first');
});

test('metrics say for how long the certificate is valid', async () => {
  await using registry = await ServedRegistry.start(withTls);
  const text = await (await ask(`${registry.origin}/metrics`)).text();
  const [, seconds] = /^wherry_tls_certificate_expires_seconds (\S+)$/m.exec(text) ?? [];
  expect(Number(seconds)).toBeGreaterThan(86_400);
});

test('plain HTTP is answered where it is asked for, and nowhere else', async () => {
  await using registry = await ServedRegistry.start({ ...withTls, 'http.plainListen': '127.0.0.1:0' });
  const plain = await answerTo(registry.port, 'GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n');
  expect(plain).toBe('');
  const listening = await listeningPorts();
  const answers = await Promise.all(
    listening.map(async (port) => await answerTo(port, 'GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n')),
  );
  expect(answers.filter((answer) => answer.startsWith('HTTP/1.1 200'))).toHaveLength(1);
});

test('what is no TLS is closed, whatever it is, and pulls go on', async () => {
  await using registry = await ServedRegistry.start(withTls);
  for (const garbage of [
    '\0\0\0\0',
    'x'.repeat(100_000),
    '\x16\x03\x01\x40\x00',
    '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00',
  ]) {
    expect(await answerTo(registry.port, garbage)).not.toContain('HTTP');
  }
  expect((await ask(`${registry.origin}/v2/`)).status).toBe(200);
});

test('a handshake that does not come on is closed in time', async () => {
  await using registry = await ServedRegistry.start({ ...withTls, 'tls.handshakeTimeout': '300ms' });
  const silent = connect(registry.port, '127.0.0.1');
  let isClosed = false;
  silent.on('close', () => (isClosed = true));
  silent.on('error', () => undefined);
  silent.write('\x16\x03\x01');
  await until('it is closed', () => isClosed);
});

test("the operator's programs reach the admin API whatever TLS asks of clients; nobody else is served there", async () => {
  await using registry = await ServedRegistry.start({
    ...withTls,
    'tls.clientCertificates': 'required',
    'tls.clientAuthorities': pathOf('authority.crt'),
  });
  const read = async (name: string): Promise<string> =>
    (await readFile(join(registry.dataDirectory, name), 'utf8')).trim();
  const origin = await read('server.url');
  const authorization = `Bearer ${await read('admin.token')}`;
  expect((await fetch(`${origin}/admin/v1/status`, { headers: { authorization } })).status).toBe(200);
  expect((await fetch(`${origin}/admin/v1/status`)).status).toBe(401);
  for (const path of ['/v2/', '/v2/app/tags/list', '/v2/_catalog']) {
    expect((await fetch(origin + path, { headers: { authorization } })).status).toBe(403);
  }
});

test('settings that do not go together are refused at the start', async () => {
  const refusals: readonly (readonly [Settings, string])[] = [
    [{ 'tls.certificate': pathOf('first.crt') }, 'tls.key is not'],
    [{ 'tls.key': pathOf('first.key') }, 'tls.certificate is not'],
    [{ 'tls.clientCertificates': 'required' }, 'needs TLS'],
    [{ 'http.plainListen': '127.0.0.1:0' }, 'stands beside TLS'],
    [{ ...withTls, 'tls.clientCertificates': 'optional' }, 'tls.clientAuthorities'],
    [{ ...withTls, 'tls.key': pathOf('second.key') }, 'does not belong'],
  ];
  for (const [settings, message] of refusals) {
    expect(await refusalOf(settings)).toContain(message);
  }
});

test('a port of plain HTTP that is in use is named with its flag, and nothing is left open', async () => {
  await using other = await ServedRegistry.start();
  expect(await refusalOf({ ...withTls, 'http.plainListen': other.host })).toBe(
    `port ${other.port} of 127.0.0.1 is in use: choose another one with --http-plain-listen HOST:PORT`,
  );
});

/** What keeps a registry from starting. */
async function refusalOf(settings: Settings): Promise<string> {
  try {
    await using registry = await ServedRegistry.start(settings);
    return `serves at ${registry.origin}`;
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    return error instanceof StartupError ? error.message : '';
  }
}

/** All that a server answers until it closes, or is silent for a while. */
async function answerTo(port: number, sent: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = '';
  const socket = connect(port, '127.0.0.1', () => void socket.write(Buffer.from(sent, 'latin1')));
  socket.on('data', (piece) => (answer += piece.toString('latin1')));
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(answer));
  socket.setTimeout(3000, () => socket.destroy());
  return await promise;
}

/** The ports that this process listens on. */
async function listeningPorts(): Promise<number[]> {
  const own = new Set<string>();
  for (const fd of await readdir('/proc/self/fd')) {
    // One that was closed meanwhile leads nowhere.
    const target = await readlink(`/proc/self/fd/${fd}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) own.add(inode);
  }
  const table = await readFile('/proc/self/net/tcp', 'utf8');
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === '0A' && own.has(inode) ? [Number.parseInt(local.split(':')[1] ?? '', 16)] : [];
  });
}

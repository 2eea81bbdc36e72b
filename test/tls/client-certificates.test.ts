import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';
import { pairOf, pathOf } from './certificates/certificates.ts';
import { ask, TlsClient } from './tls-client.ts';

const [runner, workload, nobody, intruder] = await Promise.all([
  pairOf('runner'),
  pairOf('workload'),
  pairOf('nobody'),
  pairOf('intruder'),
]);

const asking: Settings = {
  'tls.certificate': pathOf('first.crt'),
  'tls.key': pathOf('first.key'),
  'tls.clientAuthorities': pathOf('authority.crt'),
  'auth.anonymous': 'all',
};

function refusalsIn(registry: ServedRegistry): readonly string[] {
  const events = registry.rows<{ reason: string }>("select reason from event where kind = 'login.refused'");
  return events.map(({ reason }) => reason);
}

describe('where client certificates are required', () => {
  let registry: ServedRegistry;

  beforeAll(async () => {
    registry = await ServedRegistry.start({ ...asking, 'tls.clientCertificates': 'required' });
  });

  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
  });

  test('whoever shows one of the authorities is served', async () => {
    expect((await ask(`${registry.origin}/v2/`, runner)).status).toBe(200);
  });

  test("nobody gets through the handshake without one, or with somebody else's", async () => {
    for (const pair of [undefined, intruder]) {
      using client = await TlsClient.connect(registry.port, { pair });
      client.receive();
      if (!client.isClosed) client.write('GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n');
      await until('the connection is closed', () => client.isClosed);
      expect(client.received.toString()).toBe('');
    }
  });

  test('those who do not get through for their certificate are in the event log', async () => {
    using client = await TlsClient.connect(registry.port, { pair: intruder });
    await until('the connection is closed', () => client.isClosed);
    await until('it is written down', () =>
      refusalsIn(registry).some((text) => text.startsWith('with a certificate: ')),
    );
  });

  test('one that names nobody is told so', async () => {
    const refused = await ask(`${registry.origin}/v2/`, nobody);
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain('it names nobody');
  });
});

describe('where client certificates are optional', () => {
  let registry: ServedRegistry;

  beforeAll(async () => {
    registry = await ServedRegistry.start({ ...asking, 'tls.clientCertificates': 'optional' });
  });

  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
  });

  test('whoever shows none is served as anybody else', async () => {
    const asked = await ask(`${registry.origin}/v2/`);
    expect(asked.status).toBe(401);
    expect(asked.headers.get('www-authenticate')).toStartWith('Bearer ');
  });

  test('one that no authority here has signed is refused with the reason', async () => {
    const refused = await ask(`${registry.origin}/v2/`, intruder);
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain('the client certificate is not accepted');
    await until('it is written down', () =>
      refusalsIn(registry).some((text) => text.startsWith('with a certificate that names "runner": ')),
    );
  });

  test('a session that is resumed is still that of whoever has begun it', async () => {
    using first = await TlsClient.connect(registry.port, { pair: runner, maxVersion: 'TLSv1.2' });
    await until('there is a session', () => first.session !== undefined);
    using second = await TlsClient.connect(registry.port, { session: first.session, maxVersion: 'TLSv1.2' });
    expect(second.socket.isSessionReused()).toBe(true);
    second.receive();
    second.write('DELETE /v2/app/manifests/absent HTTP/1.1\r\nHost: registry\r\n\r\n');
    await until('it is answered', () => second.received.includes('HTTP/1.1 404'));
  });
});

test.each(['required', 'optional'] as const)(
  'a certificate that ends is of no use from then on, on a connection that is open or a session that is resumed (%s)',
  async (clientCertificates) => {
    await using registry = await ServedRegistry.start({ ...asking, 'tls.clientCertificates': clientCertificates });
    const versions = { maxVersion: 'TLSv1.2' } as const;
    const asks = async (client: TlsClient, request: string, status: number): Promise<void> => {
      const from = client.received.byteLength;
      client.write(`${request} HTTP/1.1\r\nHost: registry\r\n\r\n`);
      await until(`${request} is answered with ${status}`, () =>
        client.received.subarray(from).includes(`HTTP/1.1 ${status} `),
      );
    };
    using open = await TlsClient.connect(registry.port, { pair: runner, ...versions });
    open.receive();
    await asks(open, 'DELETE /v2/app/manifests/absent', 404);
    await until('there is a session', () => open.session !== undefined);
    const { session } = open;

    registry.clock.set(Date.parse(new X509Certificate(runner.cert).validTo) - registry.clock.now());
    for (const request of ['GET /v2/', 'DELETE /v2/app/manifests/absent', 'GET /healthz', 'GET /admin/v1/status']) {
      await asks(open, request, 403);
      expect(open.received.toString()).toContain('CERT_HAS_EXPIRED');
    }
    using resumed = await TlsClient.connect(registry.port, { session, ...versions });
    resumed.receive();
    expect(resumed.socket.isSessionReused()).toBe(true);
    await asks(resumed, 'GET /v2/', 403);
  },
);

describe('access rules', () => {
  let directory: string;
  let server: ServerProcess;
  let origin: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'wherry-certificates-'));
    const [port, plainPort] = [freePort(), freePort()];
    origin = `https://127.0.0.1:${port}`;
    await writeFile(
      join(directory, 'wherry.yaml'),
      `
listen: 127.0.0.1:${port}
data: ${join(directory, 'data')}
tls:
  certificate: ${pathOf('first.crt')}
  key: ${pathOf('first.key')}
  clientCertificates: optional
  clientAuthorities: ${pathOf('authority.crt')}
http: { plainListen: "127.0.0.1:${plainPort}" }
access:
  - who: { certificates: runner }
    repositories: builds/**
    actions: [pull, push]
  - who: { groups: "certificate:builders" }
    repositories: of-builders/**
    actions: pull
  - who: { groups: builders }
    repositories: configured/**
    actions: pull
  - who: { claims: { uri: "spiffe://example/**" } }
    repositories: builds/**
    actions: pull
`,
    );
    server = await ServerProcess.start(plainPort, join(directory, 'log'), {
      command: [process.execPath, 'src/main.ts', 'serve', '--config', join(directory, 'wherry.yaml')],
    });
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  test('give whoever a certificate names what they say, and others nothing', async () => {
    const bytes = freshBytes();
    const url = `${origin}/v2/builds/app/blobs/uploads/?digest=${digestOf(bytes)}`;
    const push = { method: 'POST', body: bytes };
    const blob = `${origin}/v2/builds/app/blobs/${digestOf(bytes)}`;
    expect((await ask(url, workload, push)).status).toBe(403);
    expect((await ask(url, undefined, push)).status).toBe(401);
    expect((await ask(url, runner, push)).status).toBe(201);
    expect((await ask(blob, runner)).status).toBe(200);
    expect((await ask(blob, workload)).status).toBe(200);
    expect((await ask(blob)).status).toBe(401);
    expect((await ask(blob.replace('builds', 'others'), runner)).status).not.toBe(200);
    expect((await fetch(blob.replace(origin, server.origin))).status).toBe(401);
    // What a certificate says is no group of the configuration.
    expect((await ask(`${origin}/v2/of-builders/x/tags/list`, runner)).status).toBe(404);
    expect((await ask(`${origin}/v2/configured/x/tags/list`, runner)).status).toBe(403);
    expect(await readFile(join(directory, 'log'), 'utf8')).toContain('"user":"certificate runner"');
  });
});

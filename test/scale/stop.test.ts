import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';
import { freePort } from '../server/free-port.ts';
import { InjectingProxy, operationOf } from './injecting-proxy.ts';
import { type S3Server, startMinio } from './minio-server.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

let s3: S3Server;
let proxy: InjectingProxy;
let directory: string;
let command: readonly [string, ...string[]];
let port: number;

beforeAll(async () => {
  s3 = await startMinio();
}, 600_000);

afterAll(async () => {
  await s3.stop();
});

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-stop-'));
  proxy = new InjectingProxy(s3.endpoint);
  port = freePort();
  const { name } = await s3.newBucket();
  const settings = {
    data: join(directory, 'data'),
    listen: `127.0.0.1:${port}`,
    blobs: `s3://${name}`,
    's3-endpoint': proxy.endpoint,
    'http-drain': '0',
    'windows-lease': '0',
    'windows-condemned': '0',
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, value]);
  command = [process.execPath, main, 'serve', ...flags];
});

afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

test('a server ends though the bucket does not answer what the collector has asked it for', async () => {
  await using server = await ServerProcess.start(port, join(directory, 'log'), {
    command,
    environment: s3.environment,
  });
  const asked = Promise.withResolvers<undefined>();
  const never = Promise.withResolvers<undefined>();
  proxy.inject = (request) => {
    if (operationOf(request) !== 'ListMultipartUploads') return undefined;
    asked.resolve(undefined);
    return { do: 'hold', until: never.promise };
  };
  const bytes = freshBytes(1000);
  const pushed = await fetch(`${server.origin}/v2/app/blobs/uploads/?digest=${digestOf(bytes)}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: bytes,
  });
  expect(pushed.status).toBe(201);
  await asked.promise;
  expect(await server.stop()).toBe(0);
  never.resolve(undefined);
}, 60_000);

test('a server ends though the bucket does not answer while it starts', async () => {
  const asked = Promise.withResolvers<undefined>();
  const never = Promise.withResolvers<undefined>();
  proxy.inject = () => {
    asked.resolve(undefined);
    return { do: 'hold', until: never.promise };
  };
  const server = Bun.spawn([...command], {
    env: { ...process.env, ...s3.environment },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  });
  await asked.promise;
  server.kill('SIGTERM');
  await until('it ends', () => server.exitCode !== null || server.signalCode !== null);
  expect(server.exitCode).toBe(0);
  never.resolve(undefined);
}, 60_000);

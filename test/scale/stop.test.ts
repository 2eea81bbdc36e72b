import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServerProcess } from '../server/server-process.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';
import { freePort } from '../server/free-port.ts';
import { InjectingProxy, operationOf } from './injecting-proxy.ts';
import { startMinio } from './minio-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ s3: startMinio });

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

let proxy: InjectingProxy;
let directory: TemporaryDirectory;
let command: readonly [string, ...string[]];
let port: number;

beforeEach(async () => {
  directory = new TemporaryDirectory('stop');
  proxy = new InjectingProxy(storage.s3.endpoint);
  port = freePort();
  const { name } = await storage.s3.newBucket();
  const settings = {
    data: join(directory.path, 'data'),
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
  directory[Symbol.dispose]();
});

test('a server ends though the bucket does not answer what the collector has asked it for', async () => {
  await using server = await ServerProcess.start(port, join(directory.path, 'log'), {
    command,
    environment: storage.s3.environment,
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
    env: { ...process.env, ...storage.s3.environment },
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

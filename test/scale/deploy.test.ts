import { afterAll, beforeAll, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { outputOf } from '../install/command.ts';
import { debianPackages } from '../install/debian.ts';
import { ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';
import { freePort } from '../server/free-port.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';
import { startVersitygw } from './versitygw-server.ts';

const project = join(import.meta.dir, '..', '..');
const deploy = join(project, 'deploy');
const numbers = [1, 2, 3] as const;
const password = 'a password for this test';

const storage = new StorageServers({ postgres: startPostgres, s3: startVersitygw });

let directory: string;
let executable: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-deploy-'));
  // The proxy may run as another user.
  chmodSync(directory, 0o755);
  executable = join(directory, 'wherry');
  await debianPackages(['haproxy', 'docker-compose']);
  await outputOf(['node', join(project, 'scripts', 'build.mjs'), executable]);
}, 600_000);

afterAll(() => {
  rmSync(directory, { recursive: true });
});

const composed = z.object({
  services: z.record(z.string(), z.looseObject({ command: z.array(z.string()).optional() })),
});

test('the compose file means three processes with the same settings, a proxy, a database and an S3 server', async () => {
  const secrets = { POSTGRES_PASSWORD: 'one', S3_SECRET: 'two' };
  const text = await outputOf(['docker-compose', '--file', join(deploy, 'compose.yaml'), 'config'], secrets);
  const { services } = composed.parse(parse(text));
  expect(Object.keys(services).toSorted()).toEqual(['postgres', 'proxy', 's3', 'wherry-1', 'wherry-2', 'wherry-3']);
  const [one, ...others] = numbers.map((number) => services[`wherry-${number}`]);
  for (const other of others) expect(other).toEqual(one);
  expect(one?.command).toEqual(['serve', '--config', '/etc/wherry/wherry.yaml']);
});

test('without its passwords it does not start', async () => {
  const command = ['docker-compose', '--file', join(deploy, 'compose.yaml'), 'config'] as const;
  const refused = await outputOf([...command], { POSTGRES_PASSWORD: '', S3_SECRET: '' }).catch(String);
  expect(refused).toContain('see README.md');
});

test('nothing acknowledged is lost through the proxy, one process killed and another stopped meanwhile', async () => {
  const htpasswd = join(directory, 'htpasswd');
  const hashing = Bun.spawn([executable, 'auth', 'hash', 'alice'], { stdin: Buffer.from(`${password}\n`) });
  writeFileSync(htpasswd, await hashing.stdout.text());
  const { postgres, s3 } = storage;
  const { name } = await s3.newBucket();
  const metadata = await postgres.newDatabase();
  const ports = new Map(numbers.map((number) => [number, freePort()]));
  const serve = (number: (typeof numbers)[number]) => {
    const port = ports.get(number) ?? 0;
    const environment = {
      ...s3.environment,
      WHERRY_METADATA: metadata,
      WHERRY_BLOBS: `s3://${name}/blobs`,
      WHERRY_S3_ENDPOINT: s3.endpoint,
      WHERRY_DATA: join(directory, `data-${number}`),
      WHERRY_LISTEN: `127.0.0.1:${port}`,
      WHERRY_AUTH_HTPASSWD: htpasswd,
      WHERRY_HTTP_TRUSTED_PROXIES: '127.0.0.1',
    };
    const command = [executable, 'serve', '--config', join(deploy, 'wherry.yaml')] as const;
    return ServerProcess.start(port, join(directory, `log-${number}`), { command: [...command], environment });
  };
  await using one = await serve(1);
  await using two = await serve(2);
  await using _three = await serve(3);
  const proxyPort = await startProxy(ports);
  const proxied = `http://127.0.0.1:${proxyPort.port}`;
  await using _proxy = proxyPort;
  await until(
    'the proxy has found a process',
    async () => (await fetch(`${proxied}/readyz`).catch(() => undefined))?.status === 200,
  );
  expect((await fetch(`${proxied}/v2/`)).status).toBe(401);

  const who = `alice:${encodeURIComponent(password)}`;
  const storm = Bun.spawn(
    [
      executable,
      'storm',
      `http://${who}@127.0.0.1:${proxyPort.port}`,
      '--duration=15s',
      '--allow-down',
      '--delete-tags',
    ],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' },
  );
  const catalog = async () => {
    const headers = { authorization: `Basic ${btoa(`alice:${password}`)}` };
    return await (await fetch(`${proxied}/v2/_catalog`, { headers })).text();
  };
  await until('the storm is at work', async () => (await catalog()).includes('storm/'));
  await one.kill();
  await using again = await serve(1);
  expect(await two.stop()).toBe(0);
  const [report, code] = await Promise.all([storm.stdout.text(), storm.exited]);
  console.log(report);
  expect(code).toBe(0);
  expect(await again.stop()).toBe(0);
}, 120_000);

/** HAProxy with the file of `deploy/`, led to loopback. */
async function startProxy(ports: ReadonlyMap<number, number>) {
  const port = freePort();
  let config = (await readFile(join(deploy, 'haproxy.cfg'), 'utf8')).replace('bind :5000', `bind 127.0.0.1:${port}`);
  for (const [number, own] of ports) config = config.replace(`wherry-${number}:5000`, `127.0.0.1:${own}`);
  const file = join(directory, 'haproxy.cfg');
  writeFileSync(file, config);
  await outputOf(['haproxy', '-c', '-f', file]);
  const proxy = Bun.spawn(['haproxy', '-db', '-f', file], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' });
  return {
    port,
    async [Symbol.asyncDispose]() {
      proxy.kill('SIGKILL');
      await proxy.exited;
    },
  };
}

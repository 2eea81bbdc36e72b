import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, freshBytes } from '../http/content.ts';
import { refusalOf } from '../pairs/refusal.ts';
import { temporary } from '../pairs/temporary.ts';
import { FreshServer } from '../server/fresh-server.ts';
import { until } from '../server/until.ts';
import {
  instanceIdentity,
  podIdentity,
  type TemporaryKeys,
  temporaryKeys,
  tokenService,
} from './credential-servers.ts';
import { startMinio } from './minio-server.ts';
import { credentials } from './s3-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ s3: startMinio });

/** For files of credentials and tokens. */
let directory: string;
/** What the sources of credentials give that end. */
let keys: TemporaryKeys;

beforeEach(async () => {
  keys = await temporaryKeys(storage.s3.endpoint);
  directory = mkdtempSync(join(temporary, 'wherry-credentials-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function file(name: string, ...lines: readonly string[]): string {
  const path = join(directory, name);
  writeFileSync(path, lines.join('\n'));
  return path;
}

/** Starts a registry in a process that finds credentials in one place only, and the server in its environment. */
async function serve(environment: Readonly<Record<string, string>>, ...flags: readonly string[]): Promise<FreshServer> {
  const { name } = await storage.s3.newBucket();
  const nowhere = {
    AWS_ACCESS_KEY_ID: '',
    AWS_SECRET_ACCESS_KEY: '',
    AWS_SHARED_CREDENTIALS_FILE: join(directory, 'none'),
    AWS_CONFIG_FILE: join(directory, 'none'),
    AWS_ENDPOINT_URL_S3: storage.s3.endpoint,
    HOME: directory,
  };
  return await FreshServer.startIn({ ...nowhere, ...environment }, '--blobs', `s3://${name}`, ...flags);
}

async function push({ origin }: FreshServer, bytes = freshBytes(1000)): Promise<number> {
  const url = `${origin}/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
  return (await fetch(url, { method: 'POST', body: bytes })).status;
}

const keysInFile = [
  `aws_access_key_id = ${credentials.accessKeyId}`,
  `aws_secret_access_key = ${credentials.secretAccessKey}`,
];

test('credentials come from a profile of the file of the AWS tools', async () => {
  const path = file(
    'credentials',
    '[default]',
    'aws_access_key_id = nobody',
    'aws_secret_access_key = nobody',
    '[registry]',
    ...keysInFile,
  );
  await using server = await serve({ AWS_SHARED_CREDENTIALS_FILE: path, AWS_PROFILE: 'registry' });
  expect(await push(server)).toBe(201);
});

test('credentials come from the profile that a setting names, and from nowhere else', async () => {
  const path = file('credentials', '[registry]', ...keysInFile);
  const nobody = { AWS_ACCESS_KEY_ID: 'nobody', AWS_SECRET_ACCESS_KEY: 'nobody', AWS_PROFILE: 'nobody' };
  await using server = await serve({ ...nobody, AWS_SHARED_CREDENTIALS_FILE: path }, '--s3-profile', 'registry');
  expect(await push(server)).toBe(201);
  const known = { AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey };
  const refused = serve({ ...known, AWS_SHARED_CREDENTIALS_FILE: path }, '--s3-profile', 'registri').then(
    async (started) => await started[Symbol.asyncDispose](),
  );
  expect(await refusalOf(refused)).toBeInstanceOf(Error);
});

test('credentials come from a program that a profile names', async () => {
  const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey } = credentials;
  const given = file('given.json', JSON.stringify({ Version: 1, AccessKeyId, SecretAccessKey }));
  const path = file('config', '[profile registry]', `credential_process = cat ${given}`);
  await using server = await serve({ AWS_CONFIG_FILE: path, AWS_PROFILE: 'registry' });
  expect(await push(server)).toBe(201);
});

test("credentials come from the agent of the container's or the pod's identity", async () => {
  await using agent = podIdentity(keys);
  await using server = await serve({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.origin}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file('token', 'the-token-of-a-pod'),
  });
  expect(await push(server)).toBe(201);
  expect(await push(server)).toBe(201);
  expect(agent.asked).toEqual([{ what: 'GET /v1/credentials', authorization: 'the-token-of-a-pod' }]);
});

test("credentials come from the service that knows the instance's identity", async () => {
  await using service = instanceIdentity(keys);
  await using server = await serve({
    AWS_EC2_METADATA_DISABLED: '',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: service.origin,
  });
  expect(await push(server)).toBe(201);
  expect(service.asked.map(({ what }) => what)).toEqual([
    'PUT /latest/api/token',
    'GET /latest/meta-data/iam/security-credentials/',
    'GET /latest/meta-data/iam/security-credentials/a-role',
  ]);
});

test.each(['AWS_ENDPOINT_URL_STS', 'AWS_ENDPOINT_URL'])(
  'credentials come from a token service, named by %s, that is shown the token of a service account',
  async (name) => {
    const token = 'the-token-of-a-service-account';
    await using service = tokenService(keys, token);
    await using server = await serve({
      AWS_WEB_IDENTITY_TOKEN_FILE: file('token', token),
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/registry',
      [name]: service.origin,
    });
    expect(await push(server)).toBe(201);
    expect(service.asked.map(({ what }) => what)).toEqual(['POST /']);
  },
);

test.each([
  ['are about to end', 60_000],
  ['have ended', -60_000],
])('credentials that %s are asked for anew, and the new ones used', async (_, lifeMs) => {
  await using agent = podIdentity(keys);
  agent.lifeMs = lifeMs;
  await using server = await serve({ AWS_CONTAINER_CREDENTIALS_FULL_URI: agent.origin });
  expect(await push(server)).toBe(201);
  agent.isWrong = true;
  await until('new ones are used, which are wrong', async () => (await push(server)) === 503);
  agent.isWrong = false;
  agent.lifeMs = 3_600_000;
  await until('new ones are used, which hold for long', async () => (await push(server)) === 201);
  const { length } = agent.asked;
  for (let times = 0; times < 3; times++) expect(await push(server)).toBe(201);
  expect(agent.asked).toHaveLength(length);
});

test('a pull is sent to a URL that those who have it may use, by credentials that end', async () => {
  await using agent = podIdentity(keys);
  await using server = await serve({ AWS_CONTAINER_CREDENTIALS_FULL_URI: agent.origin }, '--s3-redirect', 'on');
  const bytes = freshBytes(1000);
  expect(await push(server, bytes)).toBe(201);
  const answer = await fetch(`${server.origin}/v2/team/app/blobs/${digestOf(bytes)}`, { redirect: 'manual' });
  expect(answer.status).toBe(307);
  const url = answer.headers.get('location') ?? '';
  expect(new URL(url).searchParams.get('X-Amz-Security-Token')).toBe(keys.Token);
  expect(await (await fetch(url)).bytes()).toEqual(bytes);
});

import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, freshBytes } from '../http/content.ts';
import { temporary } from '../pairs/temporary.ts';
import { FreshServer } from '../server/fresh-server.ts';
import { until } from '../server/until.ts';
import { instanceIdentity, podIdentity, tokenService } from './credential-servers.ts';
import { startMinio } from './minio-server.ts';
import { credentials } from './s3-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ s3: startMinio });

/** For files of credentials and tokens. */
let directory: string;

beforeEach(() => {
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

/** Starts a registry in a process that finds credentials in one place only. */
async function serve(environment: Readonly<Record<string, string>>): Promise<FreshServer> {
  const { name } = await storage.s3.newBucket();
  const nowhere = {
    AWS_ACCESS_KEY_ID: '',
    AWS_SECRET_ACCESS_KEY: '',
    AWS_SHARED_CREDENTIALS_FILE: join(directory, 'none'),
    AWS_CONFIG_FILE: join(directory, 'none'),
    HOME: directory,
  };
  const where = ['--blobs', `s3://${name}`, '--s3-endpoint', storage.s3.endpoint];
  return await FreshServer.startIn({ ...nowhere, ...environment }, ...where);
}

async function push({ origin }: FreshServer): Promise<number> {
  const bytes = freshBytes(1000);
  const url = `${origin}/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
  return (await fetch(url, { method: 'POST', body: bytes })).status;
}

const keys = [
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
    ...keys,
  );
  await using server = await serve({ AWS_SHARED_CREDENTIALS_FILE: path, AWS_PROFILE: 'registry' });
  expect(await push(server)).toBe(201);
});

test('credentials come from a program that a profile names', async () => {
  const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey } = credentials;
  const given = file('given.json', JSON.stringify({ Version: 1, AccessKeyId, SecretAccessKey }));
  const path = file('config', '[profile registry]', `credential_process = cat ${given}`);
  await using server = await serve({ AWS_CONFIG_FILE: path, AWS_PROFILE: 'registry' });
  expect(await push(server)).toBe(201);
});

test("credentials come from the agent of the container's or the pod's identity", async () => {
  await using agent = podIdentity();
  await using server = await serve({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.origin}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file('token', 'the-token-of-a-pod'),
  });
  expect(await push(server)).toBe(201);
  expect(await push(server)).toBe(201);
  expect(agent.asked).toEqual([{ what: 'GET /v1/credentials', authorization: 'the-token-of-a-pod' }]);
});

test("credentials come from the service that knows the instance's identity", async () => {
  await using service = instanceIdentity();
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

test('credentials come from a token service that is shown the token of a service account', async () => {
  const token = 'the-token-of-a-service-account';
  await using service = tokenService(token);
  await using server = await serve({
    AWS_WEB_IDENTITY_TOKEN_FILE: file('token', token),
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/registry',
    AWS_ENDPOINT_URL_STS: service.origin,
  });
  expect(await push(server)).toBe(201);
  expect(service.asked.map(({ what }) => what)).toEqual(['POST /']);
});

test.each([
  ['are about to end', 60_000],
  ['have ended', -60_000],
])('credentials that %s are asked for anew, and the new ones used', async (_, lifeMs) => {
  await using agent = podIdentity();
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

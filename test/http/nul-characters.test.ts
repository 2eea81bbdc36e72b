import { afterAll, beforeAll, expect, test } from 'bun:test';
import { adminEndpoints } from '../../src/http/admin/routes.ts';
import { digestOf } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'team/app';
const digest = digestOf('something');
let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start();
  await registry.pushBlob(repo, Buffer.from('something'));
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

test.each([
  `/v2/_catalog?last=%00`,
  `/v2/${repo}/tags/list?last=a%00`,
  `/v2/${repo}/referrers/${digest}?last=%00`,
  `/v2/${repo}/referrers/${digest}?artifactType=a%00b`,
])('%s is refused, whatever keeps the metadata', async (path) => {
  const { message } = await expectRefusal(await registry.send(path), 400, 'UNSUPPORTED');
  expect(message).toContain('NUL');
});

test.each(['GET', 'PATCH', 'PUT', 'DELETE'])(
  '%s of an upload session under no name of one finds none',
  async (method) => {
    for (const id of ['%00', 'a%00b', '%F0%9F%90%B3']) {
      const path = `/v2/${repo}/blobs/uploads/${id}?digest=${digest}`;
      const body = method === 'PATCH' || method === 'PUT' ? 'bytes' : null;
      await expectRefusal(await registry.send(path, { method, body }), 404, 'BLOB_UPLOAD_UNKNOWN');
    }
  },
);

const names = ['last', 'n', 'artifactType', 'digest', 'mount', 'from', 'digest-algorithm', 'tag', 'service', 'scope'];
const ofTheRegistry = ['/v2/', '/v2/_catalog', '/token', '/v2/%00/tags/list'];
const ofItsRepository = ['tags/list', 'referrers/%00', 'blobs/uploads/', 'blobs/%00', 'manifests/v1', 'manifests/%00'];
const paths = [...ofTheRegistry, ...ofItsRepository.map((path) => `/v2/${repo}/${path}`)];

test.each(['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])(
  'no %s with a NUL in any parameter is a failure',
  async (method) => {
    for (const path of paths) {
      for (const name of names) {
        const body = method === 'POST' || method === 'PUT' ? 'bytes' : null;
        const answer = await registry.send(`${path}?${name}=%00`, { method, body });
        expect({ path, name, isFailure: answer.status >= 500 }).toEqual({ path, name, isFailure: false });
      }
    }
  },
);

test('a NUL in anything that an operator asks for is refused', async () => {
  const refused = async (method: string, path: string, body?: object): Promise<void> => {
    const asked = await registry.admin(method, path, body);
    expect(`${method} ${path} ${asked.status} ${await asked.text()}`).toMatch(/ 400 .*NUL/);
  };
  for (const { method, path } of adminEndpoints) await refused(method, `${path}?by=%00&repository=a%00b`);
  await refused('POST', '/readonly/on', { reason: 'a\0b' });
  await refused('POST', '/robots', { name: 'ci', description: 'a\0b' });
  await refused('POST', '/purge', { digests: ['\0'], reason: 'a secret' });
});

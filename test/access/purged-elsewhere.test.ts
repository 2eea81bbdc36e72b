import { afterAll, beforeAll, expect, test } from 'bun:test';
import { z } from 'zod';
import { pushImage, type PushedImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { GuardedRegistry, type Sender } from './guarded-registry.ts';

// Why something was purged is said to those who may pull from where it was: the reason may name what nobody else knows.

const secretRepo = 'secret/app';
const own = 'team/own';
const why = 'alice left a key in secret/app';

let guarded: GuardedRegistry;
let secret: PushedImage;
const secretBlob = freshBytes();
const otherBlob = freshBytes();
const ownBlob = freshBytes();

beforeAll(async () => {
  guarded = await GuardedRegistry.start(['owner', 'tenant', 'member'], {
    access: [
      { who: { users: ['owner'] }, repositories: '**', actions: 'all' },
      { who: { users: ['member'] }, repositories: ['secret/**', own], actions: ['pull', 'push'] },
      { who: { users: ['tenant'] }, repositories: own, actions: ['pull', 'push'] },
      { who: 'anonymous', repositories: 'public/**', actions: 'pull' },
    ],
  });
  secret = await pushImage(guarded.pusher('owner'), secretRepo, { tags: ['1'], layers: [secretBlob] });
  await guarded.pusher('tenant').pushBlob(own, otherBlob);
  // The same purge finds another of its contents there.
  await guarded.pusher('tenant').pushBlob(own, ownBlob);
  const purged = await guarded.send('owner', '/admin/v1/purge', {
    method: 'POST',
    body: JSON.stringify({ digests: [digestOf(secretBlob), secret.digest, digestOf(ownBlob)], reason: why }),
  });
  expect(purged.status).toBe(200);
});

afterAll(async () => {
  await guarded[Symbol.asyncDispose]();
});

async function told(sender: Sender, method: string, path: string, init: RequestInit = {}) {
  const answer = await guarded.send(sender, path, { ...init, method });
  return { status: answer.status, text: await answer.text() };
}

const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', size: secretBlob.byteLength };
const pushes = [
  ['POST', `blobs/uploads/?digest=${digestOf(secretBlob)}`, { body: secretBlob }],
  ['POST', `blobs/uploads/?mount=${digestOf(secretBlob)}&from=${secretRepo}`, {}],
  [
    'PUT',
    'manifests/x',
    {
      headers: { 'content-type': ociManifest },
      body: JSON.stringify({ ...imageOf(otherBlob), layers: [{ ...layer, digest: digestOf(secretBlob) }] }),
    },
  ],
] as const;
const pulls = ['blobs', 'manifests'].map((kind) => ['GET', `${kind}/${digestOf(secretBlob)}`, {}] as const);

test.each([...pushes, ...pulls])(
  'whoever pushes what was purged elsewhere is not told why: %s %s',
  async (...asked) => {
    const [method, path, init] = asked;
    const { status, text } = await told('tenant', method, `/v2/${own}/${path}`, init);
    expect(`${status} ${text}`).toMatch(/^403 .*has been purged/);
    expect(text).not.toContain('secret');
    expect((await told('owner', method, `/v2/${own}/${path}`, init)).text).toContain(why);
  },
);

test.each(pulls)('whoever may pull from where it was is told why: %s %s', async (method, path) => {
  const { status, text } = await told('member', method, `/v2/${secretRepo}/${path}`);
  expect(status).toBe(403);
  expect(text).toContain(why);
});

test('whoever may only pull elsewhere learns of a purged digest what they learn of one that never was', async () => {
  for (const kind of ['blobs', 'manifests']) {
    const of = async (digest: string): Promise<string> => {
      const { status, text } = await told(undefined, 'GET', `/v2/public/app/${kind}/${digest}`);
      return `${status} ${text}`.replaceAll(digest, 'DIGEST');
    };
    const ofUnknown = await of(digestOf(freshBytes()));
    expect(ofUnknown).toStartWith('404');
    for (const digest of [digestOf(secretBlob), secret.digest]) expect(await of(digest)).toBe(ofUnknown);
  }
});

test("a token for another repository keeps nobody's rights from them to be told why", async () => {
  const scope = `repository:${own}:pull,push`;
  const answer = await guarded.send('owner', `/token?scope=${scope}`);
  const { token } = z.object({ token: z.string() }).parse(await answer.json());
  const headers = { authorization: `Bearer ${token}` };
  const { status, text } = await told(undefined, 'GET', `/v2/${own}/blobs/${digestOf(secretBlob)}`, { headers });
  expect(status).toBe(403);
  expect(text).toContain(why);
});

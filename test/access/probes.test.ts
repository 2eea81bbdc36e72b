import { afterAll, beforeAll, expect, test } from 'bun:test';
import { pushImage, type PushedImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { GuardedRegistry, type Sender } from './guarded-registry.ts';

// What a client learns of repositories that it may not pull from: nothing. What is there and what is not get the same
// answers, byte for byte, and cost the same statements, so that no time that they take can tell more.

/** Names of the same length, of what is there and what is not. */
const [there, absent] = ['secret/there', 'secret/never'];
const own = 'team/own';

const users = ['owner', 'tenant', 'pusher'];
const access = [
  { who: { users: ['owner'] }, repositories: '**', actions: 'all' },
  { who: { users: ['tenant'] }, repositories: 'team/**', actions: 'all' },
  // May push to the secret ones, which does not let it pull.
  { who: { users: ['pusher'] }, repositories: ['secret/**', 'team/**'], actions: 'push' },
];

let guarded: GuardedRegistry;
let secret: PushedImage;
let signature: PushedImage;
let session: string;
const secretBlob = freshBytes();
const unknownBlob = freshBytes();
const otherBlob = freshBytes();

beforeAll(async () => {
  guarded = await GuardedRegistry.start(users, { access });
  const owner = guarded.pusher('owner');
  secret = await pushImage(owner, there, { tags: ['latest'], layers: [secretBlob] });
  signature = await pushImage(owner, there, { subject: secret });
  await pushImage(owner, own, { tags: ['latest'] });
  const opened = await guarded.send('owner', `/v2/${there}/blobs/uploads/`, { method: 'POST' });
  session = opened.headers.get('docker-upload-uuid') ?? '';
});

afterAll(async () => {
  await guarded[Symbol.asyncDispose]();
});

function readsAndDeletes(repo: string, path: string): readonly (readonly [string, string])[] {
  return ['GET', 'HEAD', 'DELETE'].map((method) => [method, `/v2/${repo}/${path}`]);
}

/** All that a client sees of an answer, but for what is another each time; and what it has cost. */
async function seen(
  sender: Sender,
  method: string,
  path: string,
  init: RequestInit = {},
  same: readonly string[] = [],
) {
  const { answer, ...work } = await guarded.cost(sender, path, { ...init, method });
  const others = new Set(['x-request-id', 'date']);
  const headers = [...answer.headers].filter(([name]) => !others.has(name)).map((header) => header.join(': '));
  let text = JSON.stringify({
    status: answer.status,
    headers: headers.toSorted(),
    body: await answer.text(),
    ...work,
  });
  const upload = answer.headers.get('docker-upload-uuid');
  if (upload !== null) text = text.replaceAll(upload, 'UPLOAD');
  for (const one of same) text = text.replaceAll(one, 'SAME');
  return text;
}

const manifestInit = { headers: { 'content-type': ociManifest } };

test.each([undefined, 'tenant'])(
  'the answers to %p are the same whether a repository is there or not',
  async (sender) => {
    const digests = [secret.digest, signature.digest, digestOf(secretBlob), digestOf(unknownBlob)];
    const pathsOf = (repo: string): readonly (readonly [string, string, RequestInit?])[] => [
      ...digests.flatMap((digest) => readsAndDeletes(repo, `blobs/${digest}`)),
      ...[...digests, 'latest', 'none'].flatMap((reference) => readsAndDeletes(repo, `manifests/${reference}`)),
      ...digests.map((digest) => ['GET', `/v2/${repo}/referrers/${digest}`] as const),
      ['GET', `/v2/${repo}/tags/list`],
      ['GET', `/v2/${repo}/tags/list?n=1&last=a`],
      ['POST', `/v2/${repo}/blobs/uploads/`],
      ['POST', `/v2/${repo}/blobs/uploads/?mount=${digestOf(secretBlob)}&from=${own}`],
      ['GET', `/v2/${repo}/blobs/uploads/${session}`],
      ['PATCH', `/v2/${repo}/blobs/uploads/${session}`, { body: 'x' }],
      ['PUT', `/v2/${repo}/blobs/uploads/${session}?digest=${digestOf(secretBlob)}`],
      ['DELETE', `/v2/${repo}/blobs/uploads/${session}`],
      ['PUT', `/v2/${repo}/manifests/latest`, { ...manifestInit, body: secret.manifest }],
      ['POST', '/admin/v1/trash/restore', { body: JSON.stringify({ target: `${repo}:latest` }) }],
      ['GET', `/admin/v1/explain?target=${repo}`],
      // What makes no sense is refused without a look at what there is, too.
      ['GET', `/v2/${repo}/blobs/sha256:short`],
      ['PUT', `/v2/${repo}/manifests/latest`, { ...manifestInit, body: '{' }],
      ['GET', `/v2/${repo}/tags/list?n=many`],
    ];
    const [ofThere, ofAbsent] = [pathsOf(there), pathsOf(absent)];
    for (const [index, [method, path, init]] of ofThere.entries()) {
      const one = await seen(sender, method, path, init, [there, absent]);
      const [, otherPath = ''] = ofAbsent[index] ?? [];
      expect(`${method} ${path}: ${await seen(sender, method, otherPath, init, [there, absent])}`).toBe(
        `${method} ${path}: ${one}`,
      );
      expect(one).toContain('"statements":0');
      expect(one).toContain(sender === undefined ? '"status":401' : '"status":403');
    }
  },
);

test('a digest that is in a repository that one may not pull from cannot be mounted, nor told from one that is nowhere', async () => {
  const [known, unknown] = [digestOf(secretBlob), digestOf(unknownBlob)];
  const answers = async (digest: string): Promise<readonly string[]> => {
    const ways = [
      `?mount=${digest}&from=${there}`,
      `?mount=${digest}&from=${absent}`,
      `?mount=${digest}`,
      `?mount=${digest}&from=${own}`,
      `?digest=${digest}`,
    ];
    const found: string[] = [];
    for (const way of ways) {
      const path = `/v2/${own}/blobs/uploads/${way}`;
      found.push(await seen('tenant', 'POST', path, {}, [digest, there, absent]));
    }
    for (const path of [`blobs/${digest}`, `manifests/${digest}`, `referrers/${digest}`]) {
      for (const method of ['GET', 'HEAD']) {
        found.push(await seen('tenant', method, `/v2/${own}/${path}`, {}, [digest]));
      }
    }
    const body = JSON.stringify({ ...imageOf(otherBlob), layers: [{ ...layer, digest }] });
    found.push(await seen('tenant', 'PUT', `/v2/${own}/manifests/x`, { ...manifestInit, body }, [digest]));
    return found;
  };
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', size: 100 };
  expect(await answers(known)).toEqual(await answers(unknown));
  const ofSource = await answers(known);
  for (const answer of ofSource.slice(0, 5)) expect(answer).toContain('"status":202');
  // With and without the source that has it.
  expect(ofSource[0]).toBe(ofSource[1] ?? '');
});

test('a mount costs the same work in however many repositories the blob is that one may not pull from', async () => {
  const [rare, common] = [freshBytes(), freshBytes()];
  const owner = guarded.pusher('owner');
  await owner.pushBlob('secret/one', rare);
  for (let number = 0; number < 30; number += 1) await owner.pushBlob(`secret/many-${number}`, common);
  const workOf = async (bytes: Uint8Array<ArrayBuffer>) => {
    const path = `/v2/${own}/blobs/uploads/?mount=${digestOf(bytes)}`;
    const { answer, ...work } = await guarded.cost('tenant', path, { method: 'POST' });
    expect(answer.status).toBe(202);
    return work;
  };
  // What the registry does by itself meanwhile, such as a look at its queue, is counted too: it can only add.
  const leastOf = async (bytes: () => Uint8Array<ArrayBuffer>) => {
    const works = [];
    for (let times = 0; times < 5; times += 1) works.push(await workOf(bytes()));
    return works.toSorted((a, b) => a.statements - b.statements)[0];
  };
  const ofNowhere = await leastOf(() => freshBytes());
  expect(await leastOf(() => rare)).toEqual(ofNowhere);
  expect(await leastOf(() => common)).toEqual(ofNowhere);
  // No turn to write but for the session that is opened.
  const opened = await guarded.cost('tenant', `/v2/${own}/blobs/uploads/`, { method: 'POST' });
  expect(ofNowhere?.writes).toBe(opened.writes);
});

test('a blob is mounted from where one may pull, whatever others have it', async () => {
  const shared = freshBytes();
  const digest = await guarded.pusher('owner').pushBlob(there, shared);
  const path = `/v2/team/other/blobs/uploads/?mount=${digest}`;
  expect((await guarded.send('tenant', path, { method: 'POST' })).status).toBe(202);
  await guarded.pusher('owner').pushBlob(own, shared);
  expect((await guarded.send('tenant', path, { method: 'POST' })).status).toBe(201);
  expect((await guarded.send('tenant', `${path}&from=${own}`, { method: 'POST' })).status).toBe(201);
  // To push there is not to pull from there.
  const pushed = await guarded.send('pusher', `/v2/team/third/blobs/uploads/?mount=${digest}`, { method: 'POST' });
  expect(pushed.status).toBe(202);
});

test("somebody else's upload is as unknown as one that never was", async () => {
  const never = '11111111-2222-4333-8444-555555555555';
  for (const [method, body] of [['GET'], ['PATCH', 'x'], ['PUT', 'x'], ['DELETE']] as const) {
    const of = async (id: string): Promise<string> => {
      const path = `/v2/${own}/blobs/uploads/${id}?digest=${digestOf('x')}`;
      return await seen('tenant', method, path, body === undefined ? {} : { body }, [id]);
    };
    expect(await of(session)).toBe(await of(never));
  }
  const status = await guarded.send('owner', `/v2/${there}/blobs/uploads/${session}`);
  expect([status.status, status.headers.get('range')]).toEqual([204, '0-0']);
});

test('the catalog is the same, page by page, whatever there is beside what one may pull from', async () => {
  const pages = async (): Promise<readonly string[]> => {
    const found: string[] = [];
    for (const n of [1, 2, 100]) {
      for (let next: string | undefined = `/v2/_catalog?n=${n}`; next !== undefined;) {
        const answer = await guarded.send('tenant', next);
        const link: string | undefined = /^<([^>]+)>/.exec(answer.headers.get('link') ?? '')?.[1];
        found.push(`${await answer.text()} ${link ?? ''}`);
        next = link;
      }
    }
    return found;
  };
  await pushImage(guarded.pusher('owner'), 'team/zoo', { tags: ['x'] });
  const before = await pages();
  for (const name of ['a/a', 'secret/more', 'teal/x', 'team-x/y', 'zz/z']) {
    await pushImage(guarded.pusher('owner'), name, { tags: ['x'] });
  }
  expect(await pages()).toEqual(before);
  expect(before.join('')).toContain('team/zoo');
});

test('who may push without pulling is not told what is there by a condition that is not met', async () => {
  const headers = { 'content-type': ociManifest, 'if-match': `"${digestOf('other')}"` };
  const answer = await guarded.send('pusher', `/v2/${there}/manifests/latest`, {
    method: 'PUT',
    headers,
    body: secret.manifest,
  });
  expect(answer.status).toBe(412);
  expect(await answer.text()).not.toContain(secret.digest);
});

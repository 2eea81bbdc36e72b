import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { actions, type Action } from '../../src/access/action.ts';
import { adminEndpoints, adminPrefix } from '../../src/http/admin/routes.ts';
import { registryEndpoints, repositoryEndpoints } from '../../src/http/oci/routes.ts';
import { operationalEndpoints } from '../../src/http/operational.ts';
import { tokenPath } from '../../src/http/token.ts';
import { pushImage, type PushedImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, ociManifest } from '../http/content.ts';
import { GuardedRegistry, type Sender } from './guarded-registry.ts';

// Every action × identity × repository of a policy, over every route that there is. Who may do what is written down here
// a second time, by hand: the policy, the routes and this page have to agree.

const nobodyKnown = undefined;
const users = [...actions.map((action) => `only-${action}`), 'everything', 'everywhere', 'no-rule', 'of-a-group'];
const senders: readonly Sender[] = [nobodyKnown, ...users, 'operator'];

const access = [
  ...actions.map((action) => ({ who: { users: [`only-${action}`] }, repositories: 'team/**', actions: action })),
  { who: { users: 'everything' }, repositories: ['team/**'], actions: 'all' },
  { who: { users: 'everywhere' }, repositories: '**', actions: 'all' },
  { who: { groups: 'pullers' }, repositories: 'team/**', actions: ['pull'] },
  { who: 'anonymous', repositories: 'public/**', actions: 'pull' },
];
const groups = { pullers: ['of-a-group'] };

/** There and not there, of those that a rule is for, that none is for, and that are for everybody. */
const repositories = ['team/there', 'team/absent', 'other/there', 'other/absent', 'public/there', 'public/absent'];

/** What the policy says, read by a person. */
function isAllowed(sender: Sender, action: Action, repo: string): boolean {
  if (sender === 'operator' || sender === 'everywhere') return true;
  if (repo.startsWith('public/') && action === 'pull') return true;
  if (!repo.startsWith('team/')) return false;
  return sender === 'everything' || sender === `only-${action}` || (sender === 'of-a-group' && action === 'pull');
}

function isAllowedEverywhere(sender: Sender): boolean {
  return sender === 'operator' || sender === 'everywhere';
}

interface Route {
  readonly action: Action;
  readonly path: (repo: string) => string;
  readonly init?: RequestInit;
}

const digest = digestOf('nothing has this digest');
const upload = '11111111-2222-4333-8444-555555555555';
const manifest = { body: '{}', headers: { 'content-type': ociManifest } };

/** Every route of a repository. One that is not here fails the test. */
const repositoryRoutes: Readonly<Record<string, Route>> = {
  'blob GET': { action: 'pull', path: (repo) => `/v2/${repo}/blobs/${digest}` },
  'blob HEAD': { action: 'pull', path: (repo) => `/v2/${repo}/blobs/${digest}` },
  'blob DELETE': { action: 'delete', path: (repo) => `/v2/${repo}/blobs/${digest}` },
  'uploads POST': { action: 'push', path: (repo) => `/v2/${repo}/blobs/uploads/` },
  'upload GET': { action: 'push', path: (repo) => `/v2/${repo}/blobs/uploads/${upload}` },
  'upload PATCH': { action: 'push', path: (repo) => `/v2/${repo}/blobs/uploads/${upload}`, init: { body: 'x' } },
  'upload PUT': { action: 'push', path: (repo) => `/v2/${repo}/blobs/uploads/${upload}?digest=${digest}` },
  'upload DELETE': { action: 'push', path: (repo) => `/v2/${repo}/blobs/uploads/${upload}` },
  'manifest GET': { action: 'pull', path: (repo) => `/v2/${repo}/manifests/latest` },
  'manifest HEAD': { action: 'pull', path: (repo) => `/v2/${repo}/manifests/latest` },
  'manifest PUT': { action: 'push', path: (repo) => `/v2/${repo}/manifests/new`, init: manifest },
  'manifest DELETE': { action: 'delete', path: (repo) => `/v2/${repo}/manifests/gone` },
  'tags GET': { action: 'pull', path: (repo) => `/v2/${repo}/tags/list` },
  'tags HEAD': { action: 'pull', path: (repo) => `/v2/${repo}/tags/list` },
  'referrers GET': { action: 'pull', path: (repo) => `/v2/${repo}/referrers/${digest}` },
  'referrers HEAD': { action: 'pull', path: (repo) => `/v2/${repo}/referrers/${digest}` },
};

/** Every route of the admin API; `ofOne` are about the repository that the request names. */
const adminRoutes: Readonly<Record<string, { readonly action: Action; readonly ofOne?: true }>> = {
  'GET /trash': { action: 'admin' },
  'POST /trash/restore': { action: 'restore', ofOne: true },
  'POST /trash/empty': { action: 'admin' },
  'GET /pins': { action: 'admin' },
  'POST /pins': { action: 'admin' },
  'DELETE /pins': { action: 'admin' },
  'GET /explain': { action: 'admin' },
  'GET /usage': { action: 'admin' },
  'GET /usage/part': { action: 'admin' },
  'GET /usage/parts': { action: 'admin' },
  'GET /status': { action: 'admin' },
  'GET /collector': { action: 'admin' },
  'POST /collector/pause': { action: 'admin' },
  'POST /collector/resume': { action: 'admin' },
  'GET /readonly': { action: 'admin' },
  'POST /readonly/on': { action: 'admin' },
  'POST /readonly/renew': { action: 'admin' },
  'POST /readonly/off': { action: 'admin' },
  'POST /fsck': { action: 'admin' },
  'POST /retention/plan': { action: 'admin' },
  'GET /retention': { action: 'admin' },
  'POST /retention/approve': { action: 'admin' },
  'POST /retention/resume': { action: 'admin' },
  'GET /retention/upcoming': { action: 'admin' },
  'POST /retention/apply': { action: 'admin' },
  'POST /find': { action: 'admin' },
  'GET /events': { action: 'admin' },
  'GET /events/follow': { action: 'admin' },
  'POST /purge/plan': { action: 'purge' },
  'POST /purge': { action: 'purge' },
  'POST /purge/lift': { action: 'purge' },
  'GET /purges': { action: 'purge' },
  'GET /purges/record': { action: 'purge' },
  'GET /purges/places': { action: 'purge' },
  'GET /robots': { action: 'admin' },
  'POST /robots': { action: 'admin' },
  'POST /robots/rotate': { action: 'admin' },
  'DELETE /robots': { action: 'admin' },
  'DELETE /logins': { action: 'admin' },
  'GET /quotas': { action: 'admin' },
  'POST /retention/simulate': { action: 'admin' },
};

/** Every route for those who operate the registry, and for whom it is. */
const operationalRoutes: Readonly<Record<string, Action | 'everybody'>> = {
  '/healthz': 'everybody',
  '/readyz': 'everybody',
  '/metrics': 'admin',
};

let guarded: GuardedRegistry;
let image: PushedImage;

beforeAll(async () => {
  guarded = await GuardedRegistry.start(users, { access, groups });
  for (const repo of repositories.filter((name) => name.endsWith('/there'))) {
    const pushed = await pushImage(guarded.pusher('everywhere'), repo, { tags: ['latest'] });
    if (repo === 'team/there') image = pushed;
  }
});

afterAll(async () => {
  await guarded[Symbol.asyncDispose]();
});

function refusalOf(sender: Sender): { readonly status: number; readonly code: string } {
  return sender === undefined ? { status: 401, code: 'UNAUTHORIZED' } : { status: 403, code: 'DENIED' };
}

async function expectDenied(sender: Sender, method: string, path: string, init: RequestInit = {}): Promise<void> {
  const { answer, statements } = await guarded.cost(sender, path, { ...init, method });
  const { status, code } = refusalOf(sender);
  const about = `${sender ?? 'nobody'}: ${method} ${path}`;
  expect([about, answer.status, statements]).toEqual([about, status, 0]);
  if (method !== 'HEAD') expect(await answer.json()).toMatchObject({ errors: [{ code }] });
  expect(answer.headers.has('www-authenticate')).toBe(status === 401);
}

async function expectNotDenied(sender: Sender, method: string, path: string, init: RequestInit = {}): Promise<void> {
  const { answer } = await guarded.cost(sender, path, { ...init, method });
  const about = `${sender ?? 'nobody'}: ${method} ${path}`;
  await answer.body?.cancel();
  expect([about, answer.status]).not.toEqual([about, 401]);
  expect([about, answer.status]).not.toEqual([about, 403]);
  expect(answer.status).toBeLessThan(500);
}

test('every route of a repository is in this test', () => {
  const there = Object.entries(repositoryEndpoints).flatMap(([resource, methods]) =>
    Object.keys(methods).map((method) => `${resource} ${method}`),
  );
  expect(there.toSorted()).toEqual(Object.keys(repositoryRoutes).toSorted());
});

describe.each(Object.entries(repositoryRoutes))('%s', (route, { action, path, init }) => {
  const method = route.split(' ')[1] ?? '';

  test.each(repositories)(`is for those who may ${action} in %s, and costs others not one statement`, async (repo) => {
    for (const sender of senders) {
      if (isAllowed(sender, action, repo)) await expectNotDenied(sender, method, path(repo), init);
      else await expectDenied(sender, method, path(repo), init);
    }
  });
});

test('a tag is led to something else by those who may overwrite tags, and by nobody else', async () => {
  for (const sender of senders) {
    const annotations = JSON.stringify({ by: sender ?? 'nobody' });
    const other = image.manifest.replace(/\}$/, `,"annotations":${annotations}}`);
    const init = { body: other, headers: { 'content-type': ociManifest } };
    const path = '/v2/team/there/manifests/latest';
    if (sender === 'everything' || isAllowedEverywhere(sender)) await expectNotDenied(sender, 'PUT', path, { ...init });
    else if (sender === 'only-push') {
      const answer = await guarded.send(sender, path, { ...init, method: 'PUT' });
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain('tag-overwrite');
    } else await expectDenied(sender, 'PUT', path, init);
  }
});

test('a tag that leads there already is pushed again by whoever may push', async () => {
  const text = await (await guarded.send('everywhere', '/v2/team/there/manifests/latest')).text();
  const init = { method: 'PUT', body: text, headers: { 'content-type': ociManifest } };
  expect((await guarded.send('only-push', '/v2/team/there/manifests/latest', init)).status).toBe(201);
});

test('every route of the admin API is in this test', () => {
  const there = adminEndpoints.map(({ method, path }) => `${method} ${path}`);
  expect(there.toSorted()).toEqual(Object.keys(adminRoutes).toSorted());
});

describe.each(Object.entries(adminRoutes))('%s of the admin API', (route, { action, ofOne }) => {
  const [method = '', path = ''] = route.split(' ');

  test(`is for those who may ${action} in ${ofOne ? 'the repository that is named' : 'every repository'}`, async () => {
    for (const sender of senders) {
      if (ofOne) {
        for (const repo of repositories) {
          const init = { body: JSON.stringify({ target: `${repo}:never` }) };
          if (isAllowed(sender, action, repo)) await expectNotDenied(sender, method, adminPrefix + path, init);
          else await expectDenied(sender, method, adminPrefix + path, init);
        }
        // What is done is not the point, so it is asked for in a way that is refused later.
      } else if (isAllowedEverywhere(sender)) await expectNotDenied(sender, method, `${adminPrefix}${path}?unknown=1`);
      else await expectDenied(sender, method, adminPrefix + path);
    }
  });
});

test('what is not about one repository is for whom this test says', async () => {
  expect(Object.keys(registryEndpoints).toSorted()).toEqual(['catalog', 'ping']);
  for (const sender of senders) {
    const status = sender === undefined ? 401 : 200;
    for (const method of ['GET', 'HEAD']) {
      expect([sender, (await guarded.send(sender, '/v2/', { method })).status]).toEqual([sender, status]);
    }
    const path = `${adminPrefix}/openapi.json`;
    expect([sender, (await guarded.send(sender, path)).status]).toEqual([sender, 200]);
  }
});

test('every route for those who operate the registry is in this test', () => {
  expect(Object.keys(operationalEndpoints).toSorted()).toEqual(Object.keys(operationalRoutes).toSorted());
});

test.each(Object.entries(operationalRoutes))('%s is for %s', async (path, isFor) => {
  const isServed = (sender: Sender): boolean => isFor === 'everybody' || isAllowedEverywhere(sender);
  // Before anybody is served: what metrics need is measured in the background, too.
  for (const sender of senders.filter((one) => !isServed(one))) {
    for (const method of ['GET', 'HEAD']) await expectDenied(sender, method, path);
  }
  for (const sender of senders.filter(isServed)) {
    for (const method of ['GET', 'HEAD']) {
      expect([sender, (await guarded.send(sender, path, { method })).status]).toEqual([sender, 200]);
    }
  }
  for (const sender of senders) {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      expect([sender, method, (await guarded.send(sender, path, { method })).status]).toEqual([sender, method, 404]);
    }
  }
});

describe.each(['GET', 'POST'])('%s /token', (method) => {
  const scope = repositories.map((repo) => `repository:${repo}:*`).join(' ');

  test('gives whoever asks a token for what they may do, and for nothing else', async () => {
    for (const sender of senders) {
      const form = new URLSearchParams({ grant_type: 'password', scope });
      const answer =
        method === 'GET'
          ? await guarded.send(sender, `${tokenPath}?${form.toString()}`)
          : await guarded.send(sender, tokenPath, { method, body: form });
      if (sender === 'operator') {
        // Who may do everything needs none, and none could be as short-lived as the token of the run.
        expect(answer.status).toBe(401);
        continue;
      }
      const allowed = repositories.flatMap((repo) => {
        const some = (['pull', 'push', 'delete'] as const).filter((action) => isAllowed(sender, action, repo));
        return some.length === 0 ? [] : [`repository:${repo}:${some.join(',')}`];
      });
      expect([sender, answer.status, await answer.json()]).toMatchObject([sender, 200, { scope: allowed.join(' ') }]);
    }
  });
});

test('no other method asks for a token', async () => {
  for (const sender of senders) {
    for (const method of ['HEAD', 'PUT', 'PATCH', 'DELETE']) {
      expect([sender, method, (await guarded.send(sender, tokenPath, { method })).status]).toEqual([
        sender,
        method,
        405,
      ]);
    }
  }
});

test('the catalog shows what whoever asks may pull from', async () => {
  const there = repositories.filter((name) => name.endsWith('/there')).toSorted();
  for (const sender of senders) {
    const answer = await guarded.send(sender, '/v2/_catalog');
    const expected = there.filter((repo) => isAllowed(sender, 'pull', repo));
    expect([sender, await answer.json()]).toEqual([sender, { repositories: expected }]);
  }
});

test('an upload is answered to nobody under the name of another repository', async () => {
  const opened = await guarded.send('only-push', '/v2/team/there/blobs/uploads/', { method: 'POST' });
  const id = opened.headers.get('docker-upload-uuid') ?? '';
  const bytes = freshBytes();
  for (const [method, body] of [['GET'], ['PATCH', bytes], ['PUT', bytes], ['DELETE']] as const) {
    const path = `/v2/team/elsewhere/blobs/uploads/${id}?digest=${digestOf(bytes)}`;
    const answer = await guarded.send('only-push', path, { method, ...(body !== undefined && { body }) });
    expect([method, answer.status]).toEqual([method, 404]);
  }
  expect((await guarded.send('only-push', `/v2/team/there/blobs/uploads/${id}`)).status).toBe(204);
});

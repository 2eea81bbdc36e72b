import { expect, test } from 'bun:test';
import { z } from 'zod';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { pushImage } from '../admin/pushed-images.ts';
import { ServedRegistry } from '../http/served-registry.ts';

const repo = 'team/app';
const rules = [
  { name: 'releases', repositories: 'team/**', tags: 'v*' },
  { name: 'archive', repositories: 'archive' },
];

const refusal = z.object({
  errors: z.tuple([z.object({ code: z.string(), message: z.string(), detail: z.unknown() })]),
});
const explanation = z.object({ immutable: z.unknown().optional() });

async function refusalOf(answer: Response) {
  const [{ code, message, detail }] = refusal.parse(await answer.json()).errors;
  return { status: answer.status, code, message, detail };
}

async function tagged(registry: ServedRegistry, tag: string): Promise<string | null> {
  const answer = await registry.send(`/v2/${repo}/manifests/${tag}`, { method: 'HEAD' });
  return answer.headers.get('docker-content-digest');
}

async function remove(registry: ServedRegistry, path: string): Promise<Response> {
  return await registry.send(`/v2/${path}`, { method: 'DELETE' });
}

async function protectedRegistry(): Promise<ServedRegistry> {
  const registry = await ServedRegistry.start();
  await registry.protect(rules);
  return registry;
}

test('an immutable tag is not led to something else: 409 with the name of the rule', async () => {
  await using registry = await protectedRegistry();
  const first = await pushImage(registry, repo, { tags: ['v1'] });
  const other = await pushImage(registry, repo, { tags: ['latest'] });
  expect(await refusalOf(await registry.putManifest(repo, 'v1', other.manifest))).toEqual({
    status: 409,
    code: 'DENIED',
    message: `the tag v1 of ${repo} is immutable (rule releases) and leads to another manifest: nothing was changed, push under another tag`,
    detail: { repository: repo, tag: 'v1', rule: 'releases' },
  });
  expect(await tagged(registry, 'v1')).toBe(first.digest);
  // One immutable tag among several: none of them moves.
  const several = await registry.putManifest(repo, `${other.digest}?tag=new&tag=v1`, other.manifest);
  expect(several.status).toBe(409);
  expect(await tagged(registry, 'new')).toBeNull();
});

test('the same content under the same immutable tag is fine, and so are new tags and those of no rule', async () => {
  await using registry = await protectedRegistry();
  const image = await pushImage(registry, repo, { tags: ['v1', 'latest'] });
  expect((await registry.putManifest(repo, 'v1', image.manifest)).status).toBe(201);
  const other = await pushImage(registry, repo, { tags: ['v2', 'latest'] });
  expect(await tagged(registry, 'latest')).toBe(other.digest);
  expect((await remove(registry, `${repo}/manifests/latest`)).status).toBe(202);
});

test('neither an immutable tag nor the manifest that it leads to is deleted: 403 with the name of the rule', async () => {
  await using registry = await protectedRegistry();
  const image = await pushImage(registry, repo, { tags: ['v1', 'latest'] });
  for (const reference of ['v1', image.digest]) {
    const refused = await refusalOf(await remove(registry, `${repo}/manifests/${reference}`));
    expect(refused).toMatchObject({ status: 403, code: 'DENIED', detail: { rule: 'releases', tag: 'v1' } });
    expect(refused.message).toBe(`the tag v1 of ${repo} is immutable (rule releases): nothing was deleted`);
  }
  expect(await tagged(registry, 'v1')).toBe(image.digest);
});

test('in a repository that is immutable as a whole, manifests under no tag are not deleted either', async () => {
  await using registry = await protectedRegistry();
  const image = await pushImage(registry, 'archive', { tags: [] });
  const refused = await refusalOf(await remove(registry, `archive/manifests/${image.digest}`));
  expect(refused).toMatchObject({
    status: 403,
    message: 'everything in archive is immutable (rule archive): nothing was deleted',
  });
});

test('what was deleted before a rule was there can be restored under it', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, repo, { tags: ['v1'] });
  expect((await remove(registry, `${repo}/manifests/v1`)).status).toBe(202);
  await registry.protect(rules);
  expect((await registry.admin('POST', '/trash/restore', { target: `${repo}:v1` })).status).toBe(200);
  expect(await tagged(registry, 'v1')).toBe(image.digest);
  expect((await remove(registry, `${repo}/manifests/v1`)).status).toBe(403);
});

test('a policy prunes nothing that is immutable, and its plan says by which rule it stays', async () => {
  await using registry = await ServedRegistry.start({ 'retention.delay': '0' });
  const parsed = parsePolicySet([
    {
      name: 'all',
      repositories: ['**'],
      default: 'prune',
      rails: { tagsPerDay: '100%', bytesPerDay: '100%', mayPruneLastTag: true, grace: 0, untaggedGrace: 0 },
    },
  ]);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  registry.policies = parsed.set;
  await registry.protect(rules);
  await pushImage(registry, repo, { tags: ['v1'] });
  await pushImage(registry, repo, { tags: ['old'] });
  const planned = await registry.admin('POST', '/retention/plan', { all: true });
  const text = await planned.text();
  expect(text).toContain('it is immutable: rule releases');
  await registry.admin('POST', '/retention/approve', {});
  registry.clock.advance(86_400_000);
  await registry.pruned();
  expect(await tagged(registry, 'old')).toBeNull();
  expect(await tagged(registry, 'v1')).not.toBeNull();
});

test('explain says that a tag is immutable, and by which rule', async () => {
  await using registry = await protectedRegistry();
  await pushImage(registry, repo, { tags: ['v1', 'latest'] });
  const ruleOf = async (target: string): Promise<unknown> => {
    const answer = await registry.admin('GET', `/explain?target=${encodeURIComponent(target)}`);
    return explanation.parse(await answer.json()).immutable;
  };
  expect(await ruleOf(`${repo}:v1`)).toEqual({ rule: 'releases' });
  expect(await ruleOf(`${repo}:latest`)).toBeUndefined();
});

test('what is refused is in the log of events', async () => {
  await using registry = await protectedRegistry();
  await pushImage(registry, repo, { tags: ['v1'] });
  await remove(registry, `${repo}/manifests/v1`);
  await registry.stop();
  expect(registry.rows("select kind, repo, tag, reason, result from event where kind = 'access.denied'")).toEqual([
    {
      kind: 'access.denied',
      repo,
      tag: 'v1',
      reason: 'delete: v1 is immutable, by the rule releases',
      result: 'refused',
    },
  ]);
});

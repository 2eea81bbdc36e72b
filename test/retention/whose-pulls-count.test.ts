import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { pushImage, pushIndex } from '../admin/pushed-images.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { askPlan, nameOf } from './asked-plan.ts';

const day = 24 * 3_600_000;

let registry: ServedRegistry;
beforeEach(async () => {
  registry = await ServedRegistry.start();
});
afterEach(async () => await registry[Symbol.asyncDispose]());

const scanned: PolicyDefinition = {
  repositories: 'scanned/**',
  default: 'keep',
  ignorePullsBy: { userAgents: ['Trivy/**', '*-scanner'], users: 'nobody' },
};
const headed: PolicyDefinition = {
  repositories: 'headed/**',
  default: 'keep',
  ignorePullsBy: { userAgents: 'Trivy/**' },
  countHeads: true,
};
const plain: PolicyDefinition = { repositories: 'plain/**', default: 'keep' };
const headedByAll: PolicyDefinition = { repositories: 'all/**', default: 'keep', countHeads: true };

async function servedWith(...definitions: PolicyDefinition[]): Promise<void> {
  const parsed = parsePolicySet(definitions);
  registry.policies = parsed.ok ? parsed.set : undefined;
  expect(registry.policies?.policies).toHaveLength(definitions.length);
  await registry.stop();
  await registry.resume();
}

/** Asks for a manifest a day later than all before. @returns that time */
async function ask(name: string, userAgent: string | undefined, method = 'GET'): Promise<string> {
  registry.clock.advance(day);
  const [repo, reference] = name.includes('@') ? name.split('@') : name.split(':');
  const headers = userAgent === undefined ? {} : { headers: { 'user-agent': userAgent } };
  const answer = await registry.send(`/v2/${repo}/manifests/${reference}`, { method, ...headers });
  expect(answer.status).toBe(200);
  return new Date(registry.clock.now()).toISOString();
}

/** When a tag was last pulled, as a plan says that it is judged by. */
async function pulledAt(tag: string): Promise<string | undefined> {
  const policies = [{ repositories: '**', default: 'keep' } as const];
  return (await askPlan(registry, { policies, all: true })).items.find((item) => nameOf(item) === tag)?.pulledAt;
}

test("a scanner's pull by tag or digest does not count where its policy says so, and everybody else's does", async () => {
  await servedWith(scanned, plain);
  for (const repo of ['scanned/app', 'plain/app', 'under/none']) {
    const { digest } = await pushImage(registry, repo, { tags: ['x'] });
    const byClient = await ask(`${repo}:x`, 'containerd/2.0');
    expect(await pulledAt(`${repo}:x`)).toBe(byClient);
    await ask(`${repo}:x`, 'Trivy/0.50 (linux/amd64)');
    const byScanner = await ask(`${repo}@${digest}`, 'our-scanner');
    expect(await pulledAt(`${repo}:x`)).toBe(repo === 'scanned/app' ? byClient : byScanner);
    expect(await ask(`${repo}:x`, 'curl/8 our-scanner-not')).toBe((await pulledAt(`${repo}:x`)) ?? 'never');
  }
});

test('a HEAD counts where the policy counts heads, but for those that it ignores; it is a push as well everywhere', async () => {
  await servedWith(headed, headedByAll, plain);
  for (const [repo, counts] of [
    ['headed/app', true],
    ['all/app', true],
    ['plain/app', false],
    ['under/none', false],
  ] as const) {
    const child = await pushImage(registry, repo);
    await pushIndex(registry, repo, ['x'], child);
    const byTag = await ask(`${repo}:x`, 'skopeo/1.14', 'HEAD');
    expect(await pulledAt(`${repo}:x`)).toBe(counts ? byTag : undefined);
    const ofChild = await ask(`${repo}@${child.digest}`, undefined, 'HEAD');
    expect(await pulledAt(`${repo}:x`)).toBe(counts ? ofChild : undefined);
    const byScanner = await ask(`${repo}:x`, 'Trivy/0.50', 'HEAD');
    expect(await pulledAt(`${repo}:x`)).toBe(
      repo === 'all/app' ? byScanner : repo === 'headed/app' ? ofChild : undefined,
    );
    expect(registry.rows(`select touched_at from tag where repo = ?`, repo)).toEqual([
      { touched_at: Date.parse(byScanner) },
    ]);
  }
});

test('without policies, a GET counts whoever sends it, and no HEAD', async () => {
  await pushImage(registry, 'a', { tags: ['x'] });
  await ask('a:x', undefined, 'HEAD');
  expect(await pulledAt('a:x')).toBeUndefined();
  const at = await ask('a:x', 'Trivy/0.50');
  expect(await pulledAt('a:x')).toBe(at);
});

test('a user agent of any length is judged by how it begins, or refused', async () => {
  await servedWith(scanned);
  await pushImage(registry, 'scanned/app', { tags: ['x'] });
  const long = 'x'.repeat(10_000);
  await ask('scanned/app:x', `Trivy/${long}`);
  expect(await pulledAt('scanned/app:x')).toBeUndefined();
  const at = await ask('scanned/app:x', `${long}-scanner`);
  expect(await pulledAt('scanned/app:x')).toBe(at);
  const headers = { 'user-agent': 'x'.repeat(100_000) };
  expect((await registry.send('/v2/scanned/app/manifests/x', { headers })).status).toBe(431);
  expect(await ask('scanned/app:x', 'containerd/2.0')).toBe((await pulledAt('scanned/app:x')) ?? 'never');
});

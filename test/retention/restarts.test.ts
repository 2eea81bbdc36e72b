import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { projectDirectory } from '../docs/documents.ts';
import { imageOf, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

let registry: ServedRegistry;
beforeEach(async () => {
  registry = await ServedRegistry.start({ 'retention.delay': '10s' });
});
afterEach(async () => await registry[Symbol.asyncDispose]());

/** Starts again with some policies; without any, with none. */
async function usePolicies(...policies: readonly PolicyDefinition[]): Promise<void> {
  const parsed = parsePolicySet(policies);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  await registry.stop();
  registry.policies = policies.length === 0 ? undefined : parsed.set;
  await registry.resume({ 'retention.delay': '10s' });
  await registry.pruned();
}

async function push(tag: string): Promise<void> {
  const config = new TextEncoder().encode(`{"config":"${tag}"}`);
  await registry.pushBlob('app', config);
  expect((await registry.putManifest('app', tag, imageOf(config, config), ociManifest)).status).toBe(201);
  registry.clock.advance(1000);
}

/** Runs a command on the data directory. @returns what it prints */
async function wherry(...args: readonly string[]): Promise<string> {
  const command = [process.execPath, join(projectDirectory, 'src', 'main.ts'), ...args];
  const child = Bun.spawn([...command, '--data', registry.dataDirectory], {
    env: { ...process.env, ...registry.environment },
    stdin: 'ignore',
    stdout: 'pipe',
  });
  const out = await child.stdout.text();
  expect(await child.exited).toBe(0);
  return out;
}

const tags = () => registry.rows<{ name: string }>('select name from tag order by name').map(({ name }) => name);

const twoNewest: PolicyDefinition = {
  name: 'two newest',
  repositories: '**',
  default: 'prune',
  rules: [{ action: 'keep', mostRecentlyPushedCount: 2 }],
  rails: { tagsPerDay: '100%', bytesPerDay: '100%', grace: '0' },
};

test('what changes while a server has no policies is looked at when they come back', async () => {
  for (const tag of ['1', '2']) await push(tag);
  await usePolicies(twoNewest);
  await usePolicies();
  await push('3');
  await usePolicies(twoNewest);
  expect(tags()).toEqual(['2', '3']);
});

test('what a command changes while no server runs is looked at when one does', async () => {
  for (const tag of ['1', '2', '3']) await push(tag);
  await registry.admin('POST', '/pins', { target: 'app:1', reason: 'audit' });
  await usePolicies(twoNewest);
  expect(tags()).toEqual(['1', '2', '3']);
  await registry.stop();
  await wherry('unpin', 'app:1');
  await registry.resume({ 'retention.delay': '10s' });
  // The command went by the clock of this machine, which is behind that of the test.
  await registry.pruned();
  expect(tags()).toEqual(['2', '3']);
  await registry.stop();
  expect(await wherry('explain', 'app:1')).toContain(
    'by retention: no rule keeps it, and the default of two newest is prune, which frees 14 B\n',
  );
});

import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { digestOf, imageOf, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { askPlan, type PlannedItem } from './asked-plan.ts';

const day = 24 * 3_600_000;

let registry: ServedRegistry;
beforeEach(async () => {
  registry = await ServedRegistry.start({});
});
afterEach(async () => await registry[Symbol.asyncDispose]());

async function push(name: string, reference?: string): Promise<string> {
  const [layer, config] = [`layer of ${name}`, `{"config":"${name}"}`].map((text) => new TextEncoder().encode(text));
  if (layer === undefined || config === undefined) throw new Error('both are there');
  await registry.pushBlob('app', layer);
  await registry.pushBlob('app', config);
  const text = JSON.stringify(imageOf(config, layer));
  expect((await registry.putManifest('app', reference ?? digestOf(text), text, ociManifest)).status).toBe(201);
  registry.clock.advance(1000);
  return digestOf(text);
}

async function apply(items: readonly PlannedItem[], mayPruneLastTag = false): Promise<Response> {
  return await registry.admin('POST', '/retention/apply', {
    repository: 'app',
    mayPruneLastTag,
    items: items.map(({ tag, digest, pushedAt, taggedAt, pulledAt, reason }) => ({
      tag,
      digest,
      pushedAt,
      taggedAt,
      pulledAt,
      reason,
    })),
  });
}

const everything: PolicyDefinition = {
  repositories: '**',
  default: 'keep',
  rules: [{ action: 'prune', tagState: 'any' }],
  rails: { tagsPerDay: '100%', bytesPerDay: '100%', grace: '0', untaggedGrace: '0' },
};

test('carrying out a plan comes to its end where untagged manifests had waited for their first tag too long', async () => {
  for (const name of ['1', '2', '3']) await push(name);
  registry.clock.advance(400 * day);
  const { items } = await askPlan(registry, { policies: [everything] });
  expect(items.map(({ outcome }) => outcome)).toEqual(['goes', 'goes', 'goes']);
  const answer = await apply(items);
  expect(await answer.json()).toMatchObject({ items: [1, 2, 3].map(() => ({ outcome: 'pruned' })) });
});

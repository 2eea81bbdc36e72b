import { expect, test } from 'bun:test';
import { ServedRegistry } from '../http/served-registry.ts';

function changes(registry: ServedRegistry): readonly string[] {
  const rows = registry.rows<{ reason: string; identity: string }>(
    "select reason, identity from event where kind = 'policy.changed' order by id",
  );
  return rows.map(({ reason, identity }) => `${identity}: ${reason.replaceAll(/sha256:[0-9a-f]{12}/g, 'HASH')}`);
}

test('a start with other rules than the last one is remembered, and one with the same is not', async () => {
  await using registry = await ServedRegistry.start();
  const rules = { name: 'access', value: [{ who: 'alice' }] };
  for (const configured of [[], [rules], [rules], [{ ...rules, value: [{ who: 'bob' }] }], []]) {
    await registry.stop();
    registry.configuredRules = configured;
    await registry.resume();
  }
  expect(changes(registry)).toEqual([
    'system:start: access: set, as HASH since the last start',
    'system:start: access: changed from HASH to HASH since the last start',
    'system:start: access: taken away, HASH before since the last start',
  ]);
});

test('so is one with other rules of what is immutable, and with other settings of access', async () => {
  await using registry = await ServedRegistry.start();
  await registry.protect([{ repositories: '**', tags: 'v*' }]);
  await registry.protect([{ repositories: '**', tags: 'v*' }], { 'auth.anonymous': 'pull' });
  expect(changes(registry)).toEqual([
    'system:start: immutable: set, as HASH since the last start',
    'system:start: auth: changed from HASH to HASH since the last start',
  ]);
});

import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { imageOf, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

test('what an operator changes while no server runs is looked at when the next one has started', async () => {
  await using registry = await ServedRegistry.start();
  const parsed = parsePolicySet([
    {
      repositories: '**',
      default: 'prune',
      rules: [{ action: 'keep', mostRecentlyPushedCount: 1 }],
      rails: { tagsPerDay: '100%', bytesPerDay: '100%', grace: '0' },
    },
  ]);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  await registry.stop();
  registry.policies = parsed.set;
  await registry.resume();
  await registry.pruned();
  const tags = () => registry.rows<{ name: string }>('select name from tag order by name').map(({ name }) => name);
  for (const tag of ['1', '2', '3']) {
    const [config, layer] = [new TextEncoder().encode(`{"of":"${tag}"}`), new TextEncoder().encode(`layer ${tag}`)];
    await registry.pushBlob('app', config);
    await registry.pushBlob('app', layer);
    expect((await registry.putManifest('app', tag, imageOf(config, layer), ociManifest)).status).toBe(201);
    if (tag === '1')
      expect((await registry.admin('POST', '/pins', { target: 'app:1', reason: 'audit' })).status).toBe(200);
    registry.clock.advance(1000);
  }
  registry.clock.advance(60_000);
  await registry.pruned();
  expect(tags()).toEqual(['1', '3']);

  await registry.stop();
  const unpin = Bun.spawn([process.execPath, main, 'unpin', 'app:1', '--data', registry.dataDirectory], {
    env: { ...process.env, ...registry.environment },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  expect([await unpin.stderr.text(), await unpin.exited]).toEqual(['', 0]);
  await registry.resume();
  await registry.pruned();
  expect(tags()).toEqual(['3']);
});

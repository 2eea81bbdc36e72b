import { expect, test } from 'bun:test';
import { applyThePlan } from '../../src/http/admin/retention-apply.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

test('a plan is carried out to its end also for manifests that only wait to be collected', async () => {
  await using registry = await ServedRegistry.start({ 'windows.lease': '1h', 'windows.neverTagged': '2h' });
  const digests: string[] = [];
  for (let image = 0; image < 3; image++) {
    const [config, layer] = [freshBytes(10), freshBytes(100)];
    for (const blob of [config, layer]) await registry.pushBlob('app', blob);
    const manifest = JSON.stringify(imageOf(config, layer));
    digests.push(digestOf(manifest));
    expect((await registry.putManifest('app', digestOf(manifest), manifest, ociManifest)).status).toBe(201);
  }
  const pushedAt = new Date(registry.clock.now()).toISOString();
  // The collector, which is paused, would have taken them by now.
  registry.clock.advance(3 * 3_600_000);
  const answer = await registry.admin('POST', '/retention/apply', {
    repository: 'app',
    items: digests.map((digest) => ({ digest, pushedAt, reason: 'it is old' })),
  });
  const { items } = applyThePlan.answer.parse(await answer.json());
  expect(items).toEqual(digests.map(() => ({ outcome: 'pruned', freesBytes: 110 })));
});

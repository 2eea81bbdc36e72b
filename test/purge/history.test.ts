import { expect, test } from 'bun:test';
import { pushImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { purge } from './purging.ts';

test('a purge is remembered for replays of retention, tag by tag and manifest by manifest', async () => {
  await using registry = await ServedRegistry.start();
  const bytes = freshBytes();
  const one = await pushImage(registry, 'team/app', { tags: ['a', 'b'], layers: [bytes] });
  const pushedAt = registry.clock.now();
  const two = await pushImage(registry, 'team/lib', { layers: [bytes] });
  registry.clock.advance(60_000);
  await purge(registry, { digests: [digestOf(bytes)] });
  const rows = registry.rows(
    `select at, repo, tag, what, digest, was_pushed_at as "pushedAt" from push_history where what <> 'pushed' order by repo, tag, what`,
  );
  const at = registry.clock.now();
  const gone = { at, pushedAt };
  expect(rows).toEqual([
    { ...gone, repo: 'team/app', tag: '', what: 'collected', digest: one.digest },
    { ...gone, repo: 'team/app', tag: 'a', what: 'removed', digest: one.digest },
    { ...gone, repo: 'team/app', tag: 'b', what: 'removed', digest: one.digest },
    { ...gone, repo: 'team/lib', tag: '', what: 'collected', digest: two.digest },
  ]);
}, 60_000);

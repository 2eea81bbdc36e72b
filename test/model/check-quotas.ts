import { isDeepStrictEqual } from 'node:util';
import { countOn, type Pages } from '../../src/quotas/count.ts';
import { QuotaSet } from '../../src/quotas/quota-set.ts';
import { Broken } from './broken.ts';
import { counted, naiveCount } from './naive-count.ts';
import type { World } from './world.ts';

/** One quota for all repositories, which refuses nothing. */
export const boundless: QuotaSet = parsed([{ repositories: '**', bytes: { soft: '1B', hard: '1000000GiB' } }]);

/** So few that counting takes several steps. */
const pages: Pages = { links: 1, tags: 1, repositories: 1, cleared: 1 };

/** Counts on where all is not counted yet; where it is, what is counted is what there is. */
export async function checkQuotas(world: World): Promise<void> {
  const { metadata } = world.registry;
  if (await metadata.write(() => countOn(pages))) return;
  const [is, shouldBe] = [await counted(world), await naiveCount(world, boundless)];
  const used = [...shouldBe.used].filter(([, { bytes, tags }]) => bytes > 0 || tags > 0);
  if (isDeepStrictEqual([is.used, is.blobs], [new Map(used), shouldBe.blobs])) return;
  throw new Broken(`a quota counts ${Bun.inspect(is)}, and there is ${Bun.inspect(shouldBe)}`);
}

function parsed(given: readonly object[]): QuotaSet {
  const result = QuotaSet.parse(given);
  if (!result.ok) throw new Error(result.problems.join('\n'));
  return result.set;
}

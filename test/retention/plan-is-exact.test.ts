import { afterAll, beforeAll, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { ownPair, pairName } from '../pairs/pair.ts';
import { randomRuns } from '../pairs/random-runs.ts';
import { askPlan, nameOf } from './asked-plan.ts';
import { anyPolicy, anyPush, RandomRegistry } from './random-registry.ts';

/** One for all runs: each leaves it empty. */
let random: RandomRegistry;
beforeAll(async () => {
  random = await RandomRegistry.start();
});
afterAll(async () => await random[Symbol.asyncDispose]());

const usage = z.object({ uniqueBytes: z.number() });

test('what a plan says that each thing frees is exactly what deleting it then frees, in any registry', async () => {
  const seen = { tags: 0, manifests: 0, waits: 0, freed: 0, kept: 0, compared: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPush, { minLength: 3, maxLength: 12 }),
      fc.array(anyPolicy, { minLength: 1, maxLength: 2 }),
      fc.option(fc.constantFrom('a', 'b/*', '?'), { nil: undefined, freq: 4 }),
      fc.option(fc.nat({ max: 20 }), { nil: undefined, freq: 4 }),
      async (pushes, policies, repository, pinned) => {
        await random.push(pushes);
        await random.windowsPass();
        const tags = random.registry.rows<{ repo: string; name: string }>(
          'select repo, name from tag order by repo, name',
        );
        const chosen = pinned === undefined ? undefined : tags[pinned % Math.max(tags.length, 1)];
        if (chosen !== undefined) {
          await random.registry.admin('POST', '/pins', { target: `${chosen.repo}:${chosen.name}`, reason: 'audit' });
        }
        const plan = await askPlan(random.registry, {
          policies,
          ...(repository !== undefined && { repository }),
          all: true,
        });
        expect(plan.refusal).toBeUndefined();
        const isUntagged = random.registry.rows('select 1 from manifest where tagged_at is null').length > 0;
        let sum = 0;
        for (const item of plan.items) {
          if (item.outcome === 'waits') seen.waits += 1;
          if (item.outcome === 'stays') seen.kept += 1;
          if (item.outcome !== 'goes') continue;
          const before = await random.bytesOnDisk();
          if (item.tag !== undefined && !isUntagged) {
            // The same question, answered by another way through the database.
            const answer = await random.registry.admin('GET', `/usage/part?target=${nameOf(item)}`);
            expect(item.freesBytes).toBe(usage.parse(await answer.json()).uniqueBytes);
            seen.compared += 1;
          }
          await random.remove(item);
          await random.windowsPass();
          const freed = before - (await random.bytesOnDisk());
          expect({ name: nameOf(item), freed }).toEqual({ name: nameOf(item), freed: item.freesBytes ?? -1 });
          sum += freed;
          seen[item.tag === undefined ? 'manifests' : 'tags'] += 1;
          if (freed > 0) seen.freed += 1;
        }
        expect(plan.total?.freesBytes).toBe(sum);
        await random.empty();
      },
    ),
    { numRuns: randomRuns(100, 50) },
  );
  // Else it shows nothing.
  const least = pairName === ownPair ? 5 : 1;
  for (const name of ['tags', 'manifests', 'waits', 'freed', 'kept', 'compared'] as const) {
    expect({ name, count: Math.min(seen[name], least) }).toEqual({ name, count: least });
  }
}, 600_000);

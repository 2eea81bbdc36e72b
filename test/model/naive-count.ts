import { z } from 'zod';
import { parseRepositoryName } from '../../src/oci/names.ts';
import type { QuotaSet } from '../../src/quotas/quota-set.ts';
import type { World } from './world.ts';

const links = z.array(z.object({ repo: z.string(), digest: z.string(), size: z.number() }));
const tags = z.array(z.object({ repo: z.string(), name: z.string() }));
const counts = z.array(z.object({ position: z.number(), phase: z.string(), number: z.number() }));
const usages = z.array(z.object({ quota: z.number(), repo: z.string(), bytes: z.number(), tags: z.number() }));
const blobs = z.array(z.object({ quota: z.number(), repo: z.string(), digest: z.string(), links: z.number() }));

/** By quota and scope: `0 `, `1 team/app`; only what is more than nothing. */
export type Used = ReadonlyMap<string, { readonly bytes: number; readonly tags: number }>;

/** What the repositories of each quota have, from the rows themselves; and how often each content is linked in it. */
export async function naiveCount(
  world: World,
  set: QuotaSet,
): Promise<{ readonly used: Used; readonly blobs: readonly string[] }> {
  const used = new Map<string, { bytes: number; tags: number }>();
  const linked = new Map<string, number>();
  const placeOf = (name: string): string | undefined => {
    const repo = parseRepositoryName(name);
    const quota = repo === undefined ? undefined : set.of(repo);
    return quota && `${quota.position} ${quota.isEach ? name : ''}`;
  };
  const at = (place: string) => {
    const known = used.get(place) ?? { bytes: 0, tags: 0 };
    used.set(place, known);
    return known;
  };
  const rows = links.parse(
    await world.rows('select repo, link.digest, size_bytes as size from link join object on live_digest = link.digest'),
  );
  for (const { repo, digest, size } of rows) {
    const place = placeOf(repo);
    if (place === undefined) continue;
    const key = `${place} ${digest}`;
    if (!linked.has(key)) at(place).bytes += size;
    linked.set(key, (linked.get(key) ?? 0) + 1);
  }
  for (const { repo } of tags.parse(await world.rows('select repo, name from tag'))) {
    const place = placeOf(repo);
    if (place !== undefined) at(place).tags++;
  }
  return { used, blobs: [...linked].map(([key, count]) => `${key}: ${count}`).toSorted() };
}

/** What is counted for each quota whose count is complete. */
export async function counted(world: World) {
  const inForce = new Map(
    counts
      .parse(await world.rows('select position, phase, number from quota where position is not null'))
      .map(({ number, ...quota }) => [number, quota]),
  );
  const used = new Map<string, { bytes: number; tags: number }>();
  for (const { quota, repo, ...amounts } of usages.parse(
    await world.rows('select quota, repo, bytes, tags from quota_usage'),
  )) {
    const position = inForce.get(quota)?.position;
    const isNothing = amounts.bytes === 0 && amounts.tags === 0;
    if (position !== undefined && !isNothing) used.set(`${position} ${repo}`, amounts);
  }
  const linked = blobs
    .parse(await world.rows('select quota, repo, digest, links from quota_blob'))
    .flatMap(({ quota, repo, digest, links: count }) => {
      const position = inForce.get(quota)?.position;
      return position === undefined ? [] : [`${position} ${repo} ${digest}: ${count}`];
    });
  const complete = new Set(
    [...inForce.values()].filter(({ phase }) => phase === 'complete').map((one) => one.position),
  );
  return { used, blobs: linked.toSorted(), complete };
}

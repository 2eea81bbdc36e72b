import { expect } from 'bun:test';
import { z } from 'zod';
import type { ServedRegistry } from '../http/served-registry.ts';

const record = z.object({
  removedAt: z.string().optional(),
  checkedAt: z.string().optional(),
  isClean: z.boolean().optional(),
  waitsFor: z.string().optional(),
  responsesCut: z.number().optional(),
  isCutAtLeast: z.boolean().optional(),
  shredding: z.object({ isDone: z.boolean(), words: z.string() }).optional(),
});

const shredded = z.object({ id: z.string(), shredded: z.object({ outcome: z.string(), words: z.string() }) });

/** Purges, and gives the record of it as it stands then. */
export async function purge(registry: ServedRegistry, body: object): Promise<z.output<typeof record>> {
  const answer = await registry.admin('POST', '/purge', { reason: 'why', ...body });
  expect(answer.status).toBe(200);
  return record.parse(await answer.json());
}

/** The record of the first purge. */
export async function recordOf(registry: ServedRegistry): Promise<z.output<typeof record>> {
  return record.parse(await (await registry.admin('GET', '/purges/record?id=1')).json());
}

/** What came of overwriting each object, by its id. */
export async function shreddedObjects(registry: ServedRegistry): Promise<ReadonlyMap<string, string>> {
  const lines = (await (await registry.admin('GET', '/purges/places?id=1')).text()).trim().split('\n');
  const objects = lines.flatMap((line) => shredded.safeParse(JSON.parse(line)).data ?? []);
  return new Map(objects.map((object) => [object.id, `${object.shredded.outcome}: ${object.shredded.words}`]));
}

/** The objects of all blobs. */
export function oidsOf(registry: ServedRegistry): readonly string[] {
  return registry
    .rows<{ oid: string }>("select oid from object where state = 'live' order by oid")
    .map(({ oid }) => oid);
}

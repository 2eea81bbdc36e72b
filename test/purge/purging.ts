import { expect } from 'bun:test';
import { z } from 'zod';
import { fsck } from '../../src/fsck/fsck.ts';
import { pushImage, pushIndex } from '../admin/pushed-images.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

export const repo = 'team/app';
export const other = 'team/other';
export const why = 'a key was in it';

/** What tests look at in the record of a purge. */
export const record = z.object({
  id: z.number(),
  reason: z.string(),
  isClean: z.boolean(),
  removedAt: z.string(),
  checkedAt: z.string(),
  unreached: z.array(z.string()),
  places: z.array(z.object({ kind: z.string(), count: z.number() })),
  digests: z.array(z.object({ digest: z.string(), lifted: z.object({ reason: z.string() }).optional() })),
});

/** Purges what a body names. */
export async function purge(registry: ServedRegistry, body: object): Promise<z.output<typeof record>> {
  const answer = await registry.admin('POST', '/purge', { reason: why, ...body });
  expect(answer.status).toBe(200);
  return record.parse(await answer.json());
}

/** An answer in lines of JSON. */
export async function linesOf(answer: Response): Promise<readonly unknown[]> {
  const text = await answer.text();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
}

const planLine = z.object({
  content: z
    .object({ digest: z.string(), kind: z.string(), sharedWith: z.string().optional(), isTaken: z.boolean() })
    .optional(),
  place: z.object({ kind: z.string() }).loose().optional(),
});

/** What a purge would take, and the places that it would hit. */
export async function planOf(registry: ServedRegistry, body: object) {
  const answer = await registry.admin('POST', '/purge/plan', body);
  expect(answer.status).toBe(200);
  const lines = (await linesOf(answer)).map((line) => planLine.parse(line));
  return {
    contents: lines.flatMap(({ content }) => content ?? []),
    places: lines.flatMap(({ place }) => place ?? []),
  };
}

/** What `wherry fsck` says of a registry. */
export async function findings(registry: ServedRegistry): Promise<readonly string[]> {
  const found = await Array.fromAsync(fsck({ ...registry.stores.places, orphanAgeMs: 0 }));
  return found.map(({ code, about, message }) => `${code} ${about}: ${message}`);
}

/** A secret in an image of one repository, in an index above it, and in an image of another one. */
export async function prepared() {
  const registry = await ServedRegistry.start();
  const bytes = freshBytes(5000);
  const image = await pushImage(registry, repo, { tags: ['v1'], layers: [bytes] });
  const index = await pushIndex(registry, repo, ['all'], image);
  const elsewhere = await pushImage(registry, other, { tags: ['v2'], layers: [bytes] });
  const clean = await pushImage(registry, repo, { tags: ['clean'] });
  return { registry, bytes, secret: digestOf(bytes), image, index, elsewhere, clean };
}

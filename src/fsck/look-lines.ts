import { z } from 'zod';
import { type Finding, findingCodes } from './finding.ts';
import type { Progress } from './fsck.ts';

const repair = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('remove-stray'), place: z.string() }),
  z.object({
    kind: z.literal('adopt-bytes'),
    oid: z.string(),
    digest: z.string(),
    sizeBytes: z.number(),
    looks: z.string(),
  }),
  z.object({ kind: z.literal('abort-upload'), place: z.string(), id: z.string() }),
  z.object({
    kind: z.literal('review'),
    task: z.object({
      kind: z.enum(['manifest', 'link', 'object', 'upload']),
      key1: z.string(),
      key2: z.string(),
    }),
  }),
  z.object({ kind: z.literal('drop-object'), oid: z.string() }),
  z.object({ kind: z.literal('settle-generation'), generation: z.number() }),
  z.object({ kind: z.literal('recount-quota'), quota: z.number() }),
  z.object({ kind: z.literal('recount-stored') }),
]);

const finding = z.object({
  code: z.enum(findingCodes),
  severity: z.enum(['loss', 'leak', 'note']),
  about: z.string(),
  message: z.string(),
  advice: z.string(),
  breaks: z.array(z.string()).exactOptional(),
  repair: repair.exactOptional(),
  isToBeAdopted: z.literal(true).exactOptional(),
});

/** What a process that only looks tells the server that has started it, in a line of JSON each. */
export const lookLine: z.ZodType<LookLine> = z.union([
  z.object({ finding }),
  z.object({ progress: z.object({ name: z.string(), done: z.number() }) }),
  z.object({ cannotCheck: z.string() }),
]);

export type LookLine =
  | { readonly finding: Finding }
  | { readonly progress: Progress }
  /** Why there is nothing that could be checked; the last line. */
  | { readonly cannotCheck: string };

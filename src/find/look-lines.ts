import { z } from 'zod';
import type { LookNews, Wanted } from './look-into.ts';

/** What a server asks the process that looks into layers for it, in a line of JSON each: at first what is wanted. */
export const lookRequest: z.ZodType<LookRequest> = z.union([
  z.object({
    wanted: z.object({ patterns: z.array(z.string()), ignoresCase: z.boolean(), maxLayerBytes: z.number() }),
  }),
  z.object({ oid: z.string() }),
  z.object({ more: z.literal(true) }),
]);

export type LookRequest =
  | { readonly wanted: Wanted }
  /** Answered with the first news of an object. */
  | { readonly oid: string }
  /** Answered with the next, until one has an end. */
  | { readonly more: true };

/** What it answers, in a line each. */
export const lookNews: z.ZodType<LookNews> = z.object({
  found: z.array(
    z.object({
      path: z.string(),
      type: z.enum(['file', 'directory', 'symlink', 'hard link', 'device', 'fifo', 'other']),
      sizeBytes: z.number(),
      linkTarget: z.string().optional(),
      isWhiteout: z.boolean(),
    }),
  ),
  readBytes: z.number(),
  end: z
    .union([
      z.object({ kind: z.enum(['whole', 'no archive', 'gone']) }),
      z.object({ kind: z.literal('unread'), reason: z.string() }),
    ])
    .optional(),
});

import { z } from 'zod';

/** An object of its own that holds bytes of an upload which are too few for a part. */
const piece = z.strictObject({
  /** What its name has behind the object's key: nothing for the one that may turn out to be the object itself. */
  suffix: z.string(),
  sizeBytes: z.int().nonnegative(),
  /** Of its writer, where another may have written under the same name. */
  token: z.string().optional(),
});

const schema = z.strictObject({
  /** Of the writer that has come as far. */
  epoch: z.int(),
  /** The multipart upload, from the first part on. */
  upload: z.strictObject({ id: z.string(), token: z.string() }).optional(),
  /** In their order, from part 1. */
  parts: z.array(z.strictObject({ etag: z.string(), sizeBytes: z.int().nonnegative() })),
  /** What comes behind the parts, in its order. */
  pieces: z.array(piece),
  /** Pieces that have become parts, and can go. */
  stale: z.array(z.string()),
  /** Whether a writer has been there of which it is not known what it has left in the bucket. */
  isDoubtful: z.boolean(),
});

/** What is known of an upload in a bucket: by it alone, any process can go on. */
export type Progress = z.output<typeof schema>;
export type Piece = z.output<typeof piece>;

const none: Progress = { epoch: 0, parts: [], pieces: [], stale: [], isDoubtful: false };

/**
 * How an upload stands for the writer of an epoch. Where one came in between whose progress was not written down, it has
 * lost its turn or its process, and nobody knows what it has left.
 */
export function progressFor({ progress, epoch }: { readonly progress: string; readonly epoch: number }): Progress {
  const known = progress === '' ? none : schema.parse(JSON.parse(progress));
  return { ...known, isDoubtful: known.isDoubtful || epoch - known.epoch > 1 };
}

/** How many bytes an upload has. */
export function sizeOf({ parts, pieces }: Pick<Progress, 'parts' | 'pieces'>): number {
  return [...parts, ...pieces].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

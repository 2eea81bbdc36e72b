import { z } from 'zod';
import { s3StorageClasses } from '../../s3-object-options.ts';
import type { S3Settings } from './settings.ts';

/** What JSON has left out, since it is undefined, is undefined again. */
function orNothing<T>(schema: z.ZodType<T>) {
  return schema.optional().transform((given) => given);
}

const text = orNothing(z.string());

/** Where a bucket is, as one process tells another. */
export const s3SettingsInJson: z.ZodType<S3Settings> = z.object({
  bucket: z.string(),
  prefix: z.string(),
  endpoint: text,
  region: text,
  isPathStyle: z.boolean(),
  profile: text,
  encryption: orNothing(
    z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('AES256') }),
      z.object({ kind: z.literal('aws:kms'), key: text }),
    ]),
  ),
  storageClass: orNothing(z.enum(s3StorageClasses)),
  partBytes: z.number(),
  lateWritesMs: z.number(),
  redirectMs: orNothing(z.number()),
  redirectEndpoint: text,
});

import { z } from 'zod';
import { s3SettingsInJson } from '../blobs/s3/settings-json.ts';
import type { LookOptions } from './fsck.ts';

/**
 * What a process is asked to look at by a server, or by whoever moves a registry, in a line of JSON that the process reads
 * from its input: on a command line, whoever lists processes would read the database's password.
 */
export type LookRequest = Pick<LookOptions, 'dataDirectory' | 'database' | 'bucket' | 'rehash'> & {
  /** In ms since 1970; undefined: by the database's clock. */
  readonly now: number | undefined;
};

/** What JSON has left out, since it is undefined, is undefined again. */
function orNothing<T>(schema: z.ZodType<T>) {
  return schema.optional().transform((given) => given);
}

const text = orNothing(z.string());

export const lookRequest: z.ZodType<LookRequest> = z.object({
  dataDirectory: z.string(),
  database: text,
  bucket: orNothing(s3SettingsInJson),
  now: orNothing(z.number()),
  rehash: orNothing(z.object({ bytesPerSecond: z.number(), from: text, isTrial: z.boolean() })),
});

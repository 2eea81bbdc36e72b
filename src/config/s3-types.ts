import { z } from 'zod';
import type { S3Encryption } from '../s3-object-options.ts';
import type { SettingType } from './setting-types.ts';

const text = z.string({ error: 'this is not a single value' });

/** Where the blobs lie: in the data directory, or in a bucket, under names that begin with the prefix. */
export type BlobsPlace =
  { readonly kind: 'directory' } | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string };

export const blobsPlace: SettingType<BlobsPlace> = {
  placeholder: 'place',
  accepts: 'directory, or the address of a bucket: s3://bucket or s3://bucket/prefix',
  isList: false,
  schema: text.transform((value, context) => {
    if (value === 'directory') return { kind: 'directory' as const };
    const { bucket = '', prefix = '' } = /^s3:\/\/(?<bucket>[^/]*)\/?(?<prefix>.*)$/.exec(value)?.groups ?? {};
    const problem = problemOfPlace(value, bucket, prefix);
    if (problem !== undefined) {
      context.addIssue({ code: 'custom', message: problem });
      return z.NEVER;
    }
    const path = prefix.replace(/\/$/, '');
    return { kind: 's3' as const, bucket, prefix: path === '' ? '' : `${path}/` };
  }),
};

function problemOfPlace(value: string, bucket: string, prefix: string): string | undefined {
  if (!value.startsWith('s3://')) return 'this is neither';
  if (bucket.includes('@')) return 'credentials do not stand here, but in the environment or in files';
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) return 'this is not the name of a bucket';
  if (!/^(?:[A-Za-z0-9!_.*'()-]+\/)*[A-Za-z0-9!_.*'()-]*$/.test(prefix) || prefix.length > 500) {
    return 'the prefix has other characters than those that are safe everywhere, or is too long';
  }
  return undefined;
}

export const s3Encryption: SettingType<S3Encryption | undefined> = {
  placeholder: 'way',
  accepts: 'bucket, AES256, aws:kms, or aws:kms:KEY with the name of a key',
  isList: false,
  schema: text.transform((value, context) => {
    if (value === 'bucket') return undefined;
    if (value === 'AES256') return { kind: 'AES256' as const };
    const { key } = /^aws:kms(?::(?<key>[\w:/-]{1,2048}))?$/.exec(value)?.groups ?? { key: null };
    if (key !== null) return { kind: 'aws:kms' as const, key };
    context.addIssue({ code: 'custom', message: 'this is none of these' });
    return z.NEVER;
  }),
};

export const regionPattern = /^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/;

/** The name of a profile of the AWS tools, or `auto`, which gives undefined. */
export const profileName: SettingType<string | undefined> = {
  placeholder: 'profile',
  accepts: 'the name of a profile such as registry, or auto',
  isList: false,
  schema: text
    .regex(/^[\w.@:/+-](?:[\w .@:/+-]{0,254}[\w.@:/+-])?$/, { error: 'this is not such a name' })
    .transform((value) => (value === 'auto' ? undefined : value)),
};

/** The name of a region, or `auto`, which gives undefined. */
export const regionName: SettingType<string | undefined> = {
  placeholder: 'region',
  accepts: 'the name of a region such as eu-central-1, or auto',
  isList: false,
  schema: text
    .regex(regionPattern, { error: 'this is not such a name' })
    .transform((value) => (value === 'auto' ? undefined : value)),
};

import { resolve } from 'node:path';
import { formatByteSize } from '../config/byte-size.ts';
import { formatDuration } from '../config/duration.ts';
import { type Setting, settings } from '../config/settings.ts';
import type { S3Encryption } from '../s3-object-options.ts';
import type { PlaceConfig } from './place.ts';

/** Settings of a configuration file that say where a registry is kept; no password is in them. */
export interface PlaceSettings {
  readonly data: string;
  readonly metadata: string;
  readonly blobs: string;
  /** Left out where the blobs lie in no bucket. */
  readonly s3?: Readonly<Record<string, string>>;
}

/** The settings with which a registry is served from a place. */
export function placeSettings({ data, metadata, blobs, s3 }: PlaceConfig): PlaceSettings {
  return {
    data: resolve(data),
    metadata: metadata.kind === 'postgres' ? withoutPassword(metadata.url).address : 'sqlite',
    blobs: blobs.kind === 's3' ? `s3://${blobs.bucket}/${blobs.prefix}` : 'directory',
    ...(blobs.kind === 's3' && { s3: bucketSettings(s3) }),
  };
}

/** Where the bucket is, and whatever else of it is not as it would be by default. */
function bucketSettings(s3: PlaceConfig['s3']): Readonly<Record<string, string>> {
  const others: readonly (readonly [Setting<unknown>, string])[] = [
    [settings.s3Profile, s3.profile ?? 'auto'],
    [settings.s3Encryption, encryptionText(s3.encryption)],
    [settings.s3StorageClass, s3.storageClass ?? 'bucket'],
    [settings.s3PartSize, formatByteSize(s3.partBytes)],
    [settings.s3LateWrites, formatDuration(s3.lateWritesMs)],
    [settings.s3Redirect, s3.isRedirecting ? 'on' : 'off'],
    [settings.s3RedirectLife, formatDuration(s3.redirectLifeMs)],
    [settings.s3RedirectEndpoint, s3.redirectEndpoint ?? 'same'],
    [settings.s3RedirectRepositories, isEach(s3.redirectRepositories) ? 'all' : s3.redirectRepositories.join(',')],
    [settings.s3RedirectNetworks, s3.redirectNetworks?.join(',') ?? 'any'],
  ];
  const changed = others.filter(([one, text]) => text !== one.default);
  return {
    endpoint: s3.endpoint ?? 'aws',
    region: s3.region ?? 'auto',
    pathStyle: s3.isPathStyle ? 'on' : 'off',
    ...Object.fromEntries(changed.map(([{ name }, text]) => [name.replace('s3.', ''), text])),
  };
}

function encryptionText(encryption: S3Encryption | undefined): string {
  if (encryption === undefined) return 'bucket';
  if (encryption.kind === 'AES256' || encryption.key === undefined) return encryption.kind;
  return `${encryption.kind}:${encryption.key}`;
}

function isEach(globs: readonly string[]): boolean {
  return globs.length === 1 && globs[0] === '**';
}

/** Whether a password belongs to them that they do not have. */
export function lacksPassword({ metadata }: PlaceConfig): boolean {
  return metadata.kind === 'postgres' && withoutPassword(metadata.url).hadOne;
}

/** All of a database's address but passwords, which may stand among the parameters too (`password`, `sslpassword`). */
function withoutPassword(address: string): { readonly address: string; readonly hadOne: boolean } {
  const url = new URL(address);
  const secret = [...url.searchParams.keys()].filter((name) => name.toLowerCase().includes('password'));
  const hadOne = url.password !== '' || secret.length > 0;
  if (!hadOne) return { address, hadOne };
  url.password = '';
  for (const name of secret) url.searchParams.delete(name);
  return { address: url.href, hadOne };
}

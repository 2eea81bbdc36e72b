import { resolve } from 'node:path';
import type { PlaceConfig } from './place.ts';

/** Settings of a configuration file that say where a registry is kept; no password is in them. */
export interface PlaceSettings {
  readonly data: string;
  readonly metadata: string;
  readonly blobs: string;
  /** Left out where the blobs lie in no bucket. */
  readonly s3?: { readonly endpoint: string; readonly region: string; readonly pathStyle: 'on' | 'off' };
}

/** The settings with which a registry is served from a place. */
export function placeSettings({ data, metadata, blobs, s3 }: PlaceConfig): PlaceSettings {
  return {
    data: resolve(data),
    metadata: metadata.kind === 'postgres' ? withoutPassword(metadata.url).address : 'sqlite',
    blobs: blobs.kind === 's3' ? `s3://${blobs.bucket}/${blobs.prefix}` : 'directory',
    ...(blobs.kind === 's3' && {
      s3: {
        endpoint: s3.endpoint ?? 'aws',
        region: s3.region ?? 'auto',
        pathStyle: s3.isPathStyle ? ('on' as const) : ('off' as const),
      },
    }),
  };
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

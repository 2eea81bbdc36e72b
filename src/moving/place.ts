import { resolve } from 'node:path';
import type { Config } from '../config/schema.ts';
import { shownAddress } from '../metadata/postgres/open-failure.ts';

/** Where a registry is kept, as far as that makes it this place; no password is in it. */
export interface Place {
  readonly metadata: string;
  readonly blobs: string;
}

export type PlaceConfig = Pick<Config, 'data' | 'metadata' | 'blobs' | 's3'>;

export function placeOf({ data, metadata, blobs, s3 }: PlaceConfig): Place {
  const directory = resolve(data);
  const endpoint = s3.endpoint === undefined ? '' : ` at ${s3.endpoint}`;
  return {
    metadata: metadata.kind === 'postgres' ? databaseOf(metadata.url) : `sqlite in ${directory}`,
    blobs: blobs.kind === 's3' ? `s3://${blobs.bucket}/${blobs.prefix}${endpoint}` : `directory ${directory}`,
  };
}

/** By these words a move is known again, and a registry that has been moved there: they stay as they are. */
export function placeText({ metadata, blobs }: Place): string {
  return `metadata: ${metadata}, blobs: ${blobs}`;
}

/** Whoever logs in there, it is the same one. */
function databaseOf(address: string): string {
  const url = new URL(shownAddress(address));
  return `${url.protocol}//${url.hostname}:${url.port === '' ? '5432' : url.port}${url.pathname}`;
}

import type { S3Settings } from '../blobs/s3/settings.ts';
import { DirectoryBytes } from './directory/bytes.ts';
import type { Records } from './records.ts';
import { SqliteRecords } from './sqlite/records.ts';
import type { StoredBytes } from './stored-bytes.ts';

/** Where a registry's metadata and blobs lie. */
export interface Places {
  readonly dataDirectory: string;
  /** The address of a PostgreSQL database; where it is not given, SQLite in the data directory. */
  readonly database?: string | undefined;
  /** A bucket; where it is not given, the data directory. */
  readonly bucket?: S3Settings | undefined;
}

/** @throws CannotCheckError where nothing can be read there */
export async function openRecords({ dataDirectory, database }: Places): Promise<Records> {
  if (database === undefined) return SqliteRecords.open(dataDirectory);
  // What nobody needs who has SQLite is not loaded.
  const { PostgresRecords } = await import('./postgres/records.ts');
  return await PostgresRecords.open(database);
}

/** @throws CannotCheckError where no blobs can be there */
export async function openBytes({ dataDirectory, bucket }: Places): Promise<StoredBytes> {
  if (bucket === undefined) return DirectoryBytes.open(dataDirectory);
  // Nor is its client, by those who have a directory.
  const { BucketBytes } = await import('./s3/bytes.ts');
  return await BucketBytes.open(bucket);
}

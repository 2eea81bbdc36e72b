import type { DirectoryCalls } from '../blobs/directory/calls.ts';
import type { BucketCalls } from '../blobs/s3/calls.ts';
import type { HttpCalls } from '../http/requests.ts';
import type { PostgresCalls } from '../metadata/postgres/calls.ts';
import type { DatabaseCalls } from '../metadata/sqlite/calls.ts';

/** How things become visible and durable, where it is not by the system's calls alone. */
export interface Syncs {
  readonly database: Partial<DatabaseCalls>;
  readonly blobs: Partial<DirectoryCalls>;
  /** The same where metadata is in PostgreSQL, and blobs in a bucket. */
  readonly postgres?: Partial<PostgresCalls>;
  readonly bucket?: Partial<BucketCalls>;
  /** So long may the database's log get before it is moved into the database file, in pages of 4 KiB. */
  readonly longLogPages?: number;
  readonly answer?: HttpCalls['answer'];
}

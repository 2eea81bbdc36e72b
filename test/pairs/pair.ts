/**
 * The pair of stores on which the registries of a run of tests are: SQLite and a directory where nothing else is said, so
 * that tests need nothing that is not there. `npm run test:scale` runs them on the others.
 */

/** Where a PostgreSQL answers, as `postgres://USER@HOST:PORT`, that has a database with the newest schema to be copied. */
export const postgresVariable = 'TEST_POSTGRES';
/** The bucket of an S3 server, as `http://HOST:PORT/BUCKET`; credentials are in the environment as for a registry. */
export const bucketVariable = 'TEST_BUCKET';
/** Which S3 server is tested by what is not about one alone: `minio`, where nothing else is said, or `versitygw`. */
export const s3ServerVariable = 'TEST_S3_SERVER';
/** The database that has the newest schema and nothing else. */
export const templateDatabase = 'wherry_template';

export interface TestedBucket {
  readonly endpoint: string;
  readonly bucket: string;
}

/** Undefined where metadata is in SQLite. */
export const testedPostgres: string | undefined = given(postgresVariable);

/** Undefined where blobs lie in directories. */
export const testedBucket: TestedBucket | undefined = bucketAt(given(bucketVariable));

export const testedS3Server: string = given(s3ServerVariable) ?? 'minio';

/** The pair that needs nothing but what is there. */
export const ownPair = nameOfPair({ postgres: false, bucket: false });

/** What the pair is called. */
export const pairName = nameOfPair({ postgres: testedPostgres !== undefined, bucket: testedBucket !== undefined });

export function nameOfPair({ postgres, bucket }: { readonly postgres: boolean; readonly bucket: boolean }): string {
  return `${postgres ? 'PostgreSQL' : 'SQLite'} and ${bucket ? 'S3' : 'a directory'}`;
}

function given(variable: string): string | undefined {
  const value = process.env[variable];
  return value === '' ? undefined : value;
}

function bucketAt(address: string | undefined): TestedBucket | undefined {
  if (address === undefined) return undefined;
  const { origin, pathname } = new URL(address);
  return { endpoint: origin, bucket: pathname.slice(1) };
}

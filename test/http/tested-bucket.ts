import { basename } from 'node:path';

/** Names the bucket in which the registries of a run of tests keep their blobs, as `http://HOST:PORT/BUCKET`. */
export const bucketVariable = 'WHERRY_TESTED_BUCKET';

interface TestedBucket {
  readonly endpoint: string;
  readonly bucket: string;
}

/** Undefined where the blobs of the tests lie in directories. */
export const testedBucket: TestedBucket | undefined = bucketIn(process.env[bucketVariable]);

function bucketIn(address: string | undefined): TestedBucket | undefined {
  if (address === undefined || address === '') return undefined;
  const { origin, pathname } = new URL(address);
  return { endpoint: origin, bucket: pathname.slice(1) };
}

/** The settings by which the registry of a data directory keeps its blobs in the tested bucket, apart from all others. */
export function bucketSettings(dataDirectory: string): Readonly<Record<string, string>> {
  if (testedBucket === undefined) return {};
  const { endpoint, bucket } = testedBucket;
  return { blobs: `s3://${bucket}/${basename(dataDirectory)}`, 's3.endpoint': endpoint, 's3.redirect': 'off' };
}

/** The names of all objects and unfinished uploads that hold blobs of a data directory's registry, or parts of them. */
export async function bucketObjects(dataDirectory: string, { endpoint, bucket }: TestedBucket): Promise<string[]> {
  // Most tests need none of it.
  const { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } = await import('@aws-sdk/client-s3');
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
  const place = { Bucket: bucket, Prefix: `${basename(dataDirectory)}/objects/` };
  const { Contents = [] } = await client.send(new ListObjectsV2Command(place));
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  const uploads = Uploads.filter(({ Key }) => Key?.startsWith(place.Prefix) === true);
  return [...Contents, ...uploads].map(({ Key = '' }) => basename(Key));
}

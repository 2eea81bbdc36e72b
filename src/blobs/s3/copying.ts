import { CopyObjectCommand, UploadPartCopyCommand } from '@aws-sdk/client-s3';
import type { Bucket, Part } from './bucket.ts';
import { said } from './connection.ts';
import { ObjectGoneError } from './failures.ts';

/** So many bytes are copied by one request at most, so that it ends in time. */
const copiedAtOnceBytes = 512 * 1024 ** 2;

/**
 * Makes a copy of an object, without its bytes coming here.
 * @param atOnceBytes how many of them one request copies at most
 * @throws ObjectGoneError where there is none
 */
export async function copyObject(bucket: Bucket, { from, to }: Copy, atOnceBytes = copiedAtOnceBytes): Promise<void> {
  const facts = await bucket.look(from);
  if (facts === undefined) throw new ObjectGoneError('the object is not in the bucket');
  if (facts.sizeBytes > atOnceBytes) {
    await copyInParts(bucket, { from, to, sizeBytes: facts.sizeBytes, atOnceBytes });
    return;
  }
  const { connection } = bucket;
  await connection.call((options) =>
    connection.client.send(
      new CopyObjectCommand({
        ...connection.place,
        ...connection.written(undefined),
        MetadataDirective: 'REPLACE',
        CopySource: sourceOf(bucket, from),
        Key: to,
      }),
      options,
    ),
  );
}

/** The key of an object, and that of its copy. */
interface Copy {
  readonly from: string;
  readonly to: string;
}

async function copyInParts(
  bucket: Bucket,
  { from, to, sizeBytes, atOnceBytes }: Copy & { readonly sizeBytes: number; readonly atOnceBytes: number },
): Promise<void> {
  const { connection } = bucket;
  const { id: upload } = await bucket.beginUpload(to);
  try {
    const parts: Part[] = [];
    for (let first = 0; first < sizeBytes; first += atOnceBytes) {
      const last = Math.min(first + atOnceBytes, sizeBytes) - 1;
      const { CopyPartResult: copied } = await connection.call((options) =>
        connection.client.send(
          new UploadPartCopyCommand({
            ...connection.place,
            Key: to,
            UploadId: upload,
            PartNumber: parts.length + 1,
            CopySource: sourceOf(bucket, from),
            CopySourceRange: `bytes=${first}-${last}`,
          }),
          options,
        ),
      );
      parts.push({ etag: said(copied?.ETag, 'ETag'), sizeBytes: last - first + 1 });
    }
    await bucket.complete(to, upload, parts);
  } catch (error) {
    await bucket.abort(to, upload).catch(() => undefined);
    throw error;
  }
}

function sourceOf({ connection }: Bucket, key: string): string {
  return [connection.settings.bucket, ...key.split('/')].map((part) => encodeURIComponent(part)).join('/');
}

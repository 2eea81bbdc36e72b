import { createHash } from 'node:crypto';
import { type S3Client, S3ServiceException } from '@aws-sdk/client-s3';

/** Servers that do not know the client's CRC32 want an MD5 of what is to be removed; it is short. */
const alwaysSent = new Set(['DeleteObjectsCommand']);

/** Copies are not among them: they carry no bytes, and no MD5 of others' is taken with them. */
const sentWhereAsked = new Set(['PutObjectCommand', 'UploadPartCommand']);

/** What servers say where they miss one. */
const askingCodes = new Set(['InvalidRequest', 'MissingContentMD5', 'MissingDigest']);

interface RequestWithBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** Whether objects and parts are sent with an MD5 from now on. */
export interface Md5Wanted {
  isWanted: boolean;
}

/**
 * Has a client send `Content-MD5` where servers want it: with each removal of several objects, and with objects and parts where
 * it is known to be wanted, or from when one is refused without it. Amazon's does so in a bucket whose objects are locked by
 * default, where the SHA-256 of the signature, of which an MD5 takes twice the time, counts for nothing. A CRC32 would be cheaper, and
 * is refused with a part whose upload was not begun with it; then its completion would have to name those of all parts.
 */
export function sendContentMd5(client: S3Client, wanted: Md5Wanted): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (call) => {
        const { request } = call;
        const isForSome = sentWhereAsked.has(commandName);
        if (!hasBody(request) || !(isForSome || alwaysSent.has(commandName))) return await next(call);
        if (isForSome && !wanted.isWanted) {
          try {
            return await next(call);
          } catch (error) {
            if (!asksForSum(error)) throw error;
          }
        }
        const headers = { ...request.headers, 'content-md5': createHash('md5').update(request.body).digest('base64') };
        const answer = await next({ ...call, request: { ...request, headers } });
        wanted.isWanted ||= isForSome;
        return answer;
      },
    // After all else that makes the request, so that only trying and signing happen again.
    { name: 'sendContentMd5', step: 'build', priority: 'low' },
  );
}

function asksForSum(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 400 && askingCodes.has(error.name);
}

function hasBody(request: unknown): request is RequestWithBody {
  if (typeof request !== 'object' || request === null || !('body' in request && 'headers' in request)) return false;
  return typeof request.body === 'string' || request.body instanceof Uint8Array;
}

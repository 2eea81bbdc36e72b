import { S3ServiceException } from '@aws-sdk/client-s3';
import { BlobMissingError, BlobStoreBusyError, BlobStoreFullError } from '../store.ts';

/** An object that is not in the bucket; named as a missing file is, so that it is answered like one (R46). */
export class ObjectGoneError extends BlobMissingError {
  readonly code = 'ENOENT';
}

/** A multipart upload that was completed or aborted. */
export class UploadGoneError extends BlobMissingError {}

/** There is an object already where one was to be put only if there is none. */
export class ObjectThereError extends Error {
  override readonly name = 'ObjectThereError';
}

/** Another request about the same object is under way, by whose end it is decided whether there is one: it is asked again. */
export class ConflictError extends BlobStoreBusyError {}

/** What servers say where a quota of theirs or their disk is full. */
const fullCodes = new Set(['QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded']);

/** An error of the client, or of what it has asked, in the words of a blob store. */
export function translated(error: unknown): Error {
  if (!(error instanceof S3ServiceException)) {
    return new BlobStoreBusyError(`the bucket does not answer (${wordsOf(error)})`, { cause: error });
  }
  const status = error.$metadata.httpStatusCode;
  if (error.name === 'NoSuchUpload')
    return new UploadGoneError('the upload is not in the bucket any more', { cause: error });
  if (error.name === 'InvalidPart' || error.name === 'InvalidPartOrder') {
    return new UploadGoneError('another writer has put other bytes in the place of a part', { cause: error });
  }
  if (error.name === 'NoSuchKey' || error.name === 'NotFound') {
    return new ObjectGoneError('the object is not in the bucket', { cause: error });
  }
  if (status === 412) return new ObjectThereError('there is an object of that name', { cause: error });
  if (status === 409)
    return new ConflictError(`the bucket refuses (${error.name}: ${error.message})`, { cause: error });
  if (status === 507 || fullCodes.has(error.name)) {
    return new BlobStoreFullError(`the bucket takes no more (${error.name})`, { cause: error });
  }
  // A wrong key or a bucket that is gone is for the operator to mend: requests wait for that as for a server that is down.
  return new BlobStoreBusyError(`the bucket refuses (${error.name}: ${error.message})`, { cause: error });
}

/** What servers answer to a call that they do not let the registry make, or do not know. */
const refusals = new Set([400, 403, 405, 501]);

/** Whether the server has said no, and will say so again. */
export function isRefused(error: unknown): boolean {
  return error instanceof BlobStoreBusyError && refusals.has(statusOf(error) ?? 0);
}

/** With what status the server has answered that an error is about; undefined where it has not. */
export function statusOf(error: unknown): number | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof S3ServiceException ? cause.$metadata.httpStatusCode : undefined;
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === '' ? error.name : error.message;
}

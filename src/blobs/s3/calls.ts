/**
 * The calls by which objects come about, change and go in a bucket. A test watches them, holds them back, lets them fail,
 * and ends the process before or after each of them (test/crash): what it does before `send` is before the bucket has heard
 * of it, and what it does after, when the bucket has answered and nobody here knows yet.
 */
export interface BucketCalls {
  readonly put: BucketCall;
  readonly beginUpload: BucketCall;
  readonly putPart: BucketCall;
  readonly complete: BucketCall;
  readonly abort: BucketCall;
  readonly remove: BucketCall;
}

/** Makes a call, with its tries; `key` is of the object, or the first one, that it is about. */
export type BucketCall = <T>(send: () => Promise<T>, key: string) => Promise<T>;

const asItIs: BucketCall = (send) => send();

export const bucketCalls: BucketCalls = {
  put: asItIs,
  beginUpload: asItIs,
  putPart: asItIs,
  complete: asItIs,
  abort: asItIs,
  remove: asItIs,
};

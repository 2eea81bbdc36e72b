import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { fromIni } from '@aws-sdk/credential-provider-ini';
import { FetchHttpHandler } from '@smithy/fetch-http-handler';
import { BlobStoreBusyError } from '../store.ts';
import { fetchWithin } from './aborted-fetch.ts';
import { type Md5Wanted, sendContentMd5 } from './content-md5.ts';
import { translated } from './failures.ts';
import type { S3Settings } from './settings.ts';

/** How often a call is tried at most. */
const mostAttempts = 4;

/** How long calls may take. */
export interface Patience {
  /** One try of a call, in ms. */
  readonly attemptMs: number;
  /** A call with all its tries, in ms. */
  readonly callMs: number;
}

/** Longer than a client waits helps nobody; a large part on a slow line takes its time. */
const usualPatience: Patience = { attemptMs: 30_000, callMs: 75_000 };

/** Under which name of metadata an object says which writer it is of. */
export const tokenName = 'wherry-writer';

/** What servers say of bytes that were damaged on their way. */
const damageCodes = new Set(['XAmzContentSHA256Mismatch', 'BadDigest']);

/** What a call is sent with, so that it ends in time. */
export interface SendOptions {
  readonly abortSignal: AbortSignal;
}

/** The way to one bucket: what each call there goes by. */
export class BucketConnection {
  readonly settings: S3Settings;
  readonly client: S3Client;
  /** Signs URLs for others, and asks nobody. */
  readonly signer: S3Client;
  /** What each call names. */
  readonly place: { readonly Bucket: string };
  /** Whether what is written is sent with an MD5: as soon as the bucket is known to lock it, or has refused it without. */
  readonly md5: Md5Wanted = { isWanted: false };
  readonly #callMs: number;

  constructor(settings: S3Settings, patience = usualPatience) {
    const { endpoint, region, isPathStyle, profile, bucket, redirectEndpoint } = settings;
    this.settings = settings;
    this.place = { Bucket: bucket };
    this.#callMs = patience.callMs;
    const place = {
      ...(region !== undefined && { region }),
      forcePathStyle: isPathStyle,
      // By the profile's name alone, the client would take others where there is no such profile.
      ...(profile !== undefined && { profile, credentials: fromIni({ profile }) }),
    };
    this.client = new S3Client({
      ...place,
      ...(endpoint !== undefined && { endpoint }),
      maxAttempts: mostAttempts,
      // The signature covers the SHA-256 of what is sent, which servers compare; older ones know no other checksum but MD5.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: new FetchHttpHandler({ customFetch: fetchWithin(patience.attemptMs) }),
    });
    sendDamagedAgain(this.client);
    sendContentMd5(this.client, this.md5);
    this.signer = redirectEndpoint === undefined ? this.client : new S3Client({ ...place, endpoint: redirectEndpoint });
  }

  /** What every object is written with. */
  written(token: string | undefined) {
    const { encryption, storageClass } = this.settings;
    return {
      // A browser must not show a blob as a page, should somebody open its URL there.
      ContentType: 'application/octet-stream',
      ContentDisposition: 'attachment',
      ...(token !== undefined && { Metadata: { [tokenName]: token } }),
      ...(encryption !== undefined && { ServerSideEncryption: encryption.kind }),
      ...(encryption?.kind === 'aws:kms' && encryption.key !== undefined && { SSEKMSKeyId: encryption.key }),
      ...(storageClass !== undefined && { StorageClass: storageClass }),
    };
  }

  /** Makes a call, which ends in time; what it throws is translated. */
  async call<T>(make: (options: SendOptions) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new BlobStoreBusyError('the bucket does not answer in time')),
      this.#callMs,
    );
    try {
      const abortSignal = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
      return await make({ abortSignal });
    } catch (error) {
      throw translated(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Has a call be tried again whose bytes were damaged: the client takes that for a mistake that would be repeated. */
function sendDamagedAgain(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (call) => {
      try {
        return await next(call);
      } catch (error) {
        if (error instanceof S3ServiceException && damageCodes.has(error.name)) error.$retryable = {};
        throw error;
      }
    },
    { name: 'sendDamagedAgain', step: 'deserialize', priority: 'high' },
  );
}

/** Whatever an answer must have. */
export function said(value: string | undefined, name: string): string {
  if (value === undefined) throw new BlobStoreBusyError(`the bucket has answered without ${name}`);
  return value;
}

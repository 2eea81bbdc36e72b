import type { SessionLimit } from '../../registry/uploads/open.ts';
import type { Problem } from '../errors.ts';
import { TokenBuckets } from './token-buckets.ts';

/** What one client may take; 0, or undefined for the bytes: as much as it likes. */
export interface ClientLimits {
  /** Requests with a body at once. */
  readonly uploads: number;
  /** Upload sessions that it has open. */
  readonly uploadSessions: number;
  readonly uploadBytesPerSecond: number | undefined;
  readonly requestsPerSecond: number;
  readonly requestBurst: number;
}

export const noClientLimits: ClientLimits = {
  uploads: 0,
  uploadSessions: 0,
  uploadBytesPerSecond: undefined,
  requestsPerSecond: 0,
  requestBurst: 1,
};

/** How much of its rate of bytes a client may send at once, in seconds. */
const uploadBurstSeconds = 60;

/** A request that was let in. */
export interface Admitted {
  /** To be told of the bytes of its body; undefined where they are not counted. */
  readonly onReceived: ((bytes: number) => void) | undefined;
  /** To be called once its answer is made. */
  readonly end: () => void;
}

/** A request that counts nowhere. */
export const unlimited: Admitted = { onReceived: undefined, end: () => undefined };

/** Lets requests in, or says why not, by what their client has taken lately. Nothing of a request is read before. */
export class ClientTurnstile {
  readonly #limits: ClientLimits;
  readonly #requests: TokenBuckets | undefined;
  readonly #bytes: TokenBuckets | undefined;
  readonly #uploads = new Map<string, number>();

  /** @param nowMs a clock that never goes back */
  constructor(limits: ClientLimits, nowMs: () => number) {
    this.#limits = limits;
    const { requestsPerSecond, requestBurst, uploadBytesPerSecond } = limits;
    if (requestsPerSecond > 0) {
      this.#requests = new TokenBuckets({ perSecond: requestsPerSecond, burst: requestBurst }, nowMs);
    }
    if (uploadBytesPerSecond !== undefined) {
      const burst = uploadBytesPerSecond * uploadBurstSeconds;
      this.#bytes = new TokenBuckets({ perSecond: uploadBytesPerSecond, burst }, nowMs);
    }
  }

  /** Whether requests are counted that bring nothing. */
  get countsAll(): boolean {
    return this.#requests !== undefined;
  }

  /** @param client who asks; undefined for whoever has no limits */
  admit(client: string | undefined, hasBody: boolean): Admitted | Problem {
    if (client === undefined) return unlimited;
    const waitMs = this.#requests?.take(client) ?? 0;
    if (waitMs > 0) {
      const { requestsPerSecond } = this.#limits;
      return tooMany(`more than ${requestsPerSecond} requests a second (limits.requestRatePerClient)`, waitMs);
    }
    return hasBody ? this.#admitUpload(client) : unlimited;
  }

  /** How many upload sessions a client may have open; undefined for as many as it likes. */
  sessionLimitOf(client: string | undefined): SessionLimit | undefined {
    const { uploadSessions: most } = this.#limits;
    return client === undefined || most === 0 ? undefined : { client, most };
  }

  #admitUpload(client: string): Admitted | Problem {
    const { uploads, uploadBytesPerSecond } = this.#limits;
    const bytes = this.#bytes;
    const waitMs = bytes?.waitMs(client) ?? 0;
    if (waitMs > 0) {
      return tooMany(`more than ${uploadBytesPerSecond} bytes a second (limits.uploadRatePerClient)`, waitMs);
    }
    const onReceived = bytes === undefined ? undefined : (count: number) => bytes.charge(client, count);
    if (uploads === 0) return { onReceived, end: unlimited.end };
    const underWay = this.#uploads.get(client) ?? 0;
    if (underWay >= uploads) return tooMany(`more than ${uploads} uploads at once (limits.uploadsPerClient)`, 1000);
    this.#uploads.set(client, underWay + 1);
    return {
      onReceived,
      end: () => {
        const left = (this.#uploads.get(client) ?? 0) - 1;
        if (left > 0) this.#uploads.set(client, left);
        else this.#uploads.delete(client);
      },
    };
  }
}

function tooMany(what: string, waitMs: number): Problem {
  const seconds = Math.max(Math.ceil(waitMs / 1000), 1);
  return {
    code: 'TOOMANYREQUESTS',
    message: `this client has made ${what}: try again after ${seconds} s`,
    detail: { retryAfterSeconds: seconds },
    headers: { 'retry-after': String(seconds) },
  };
}

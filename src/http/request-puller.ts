import type { Puller } from '../registry/puller.ts';

/** What clients send is cut off here, in characters. */
const longestUserAgent = 256;

/** Who pulls by a request. The user agent is looked for where it is asked for: that takes longer than the rest. */
export class RequestPuller implements Puller {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  /** Nobody says who they are yet. */
  get user(): string | undefined {
    return undefined;
  }

  get robot(): string | undefined {
    return undefined;
  }

  get userAgent(): string | undefined {
    return this.#request.headers.get('user-agent')?.slice(0, longestUserAgent);
  }
}

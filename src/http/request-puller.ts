import type { Identity } from '../access/identity.ts';
import type { Puller } from '../registry/puller.ts';
import type { Call } from './call.ts';

/** What clients send is cut off here, in characters. */
const longestUserAgent = 256;

/** Who pulls by a request. The user agent is looked for where it is asked for: that takes longer than the rest. */
export class RequestPuller implements Puller {
  readonly #request: Request;
  readonly #identity: Identity;

  constructor({ request, identity }: Pick<Call, 'request' | 'identity'>) {
    this.#request = request;
    this.#identity = identity;
  }

  get user(): string | undefined {
    return this.#identity.kind === 'user' ? this.#identity.name : undefined;
  }

  get robot(): string | undefined {
    return this.#identity.kind === 'robot' ? this.#identity.name : undefined;
  }

  get userAgent(): string | undefined {
    return this.#request.headers.get('user-agent')?.slice(0, longestUserAgent);
  }
}

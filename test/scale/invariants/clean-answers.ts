import { digestOf } from '../../http/content.ts';
import type { Findings } from './findings.ts';

/** An answer that says what has become of a request. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** In ms since 1970. */
  readonly sentAt: number;
}

interface Asked {
  /** What may be answered beside 503. */
  readonly expected: readonly number[];
  /** Of what a 200 has to bring. */
  readonly digest?: string | undefined;
  /** Called as soon as there is an answer, before its body. */
  readonly answered?: (status: number, sentAt: number) => Promise<void>;
}

/** Sends requests to several processes in turn: each is answered as it may be, with 503 and `Retry-After`, or broken off (I10). */
export class CleanAnswers {
  readonly #origins: readonly string[];
  readonly #findings: Findings;
  #turn = 0;

  constructor(origins: readonly string[], findings: Findings) {
    this.#origins = origins;
    this.#findings = findings;
  }

  /** Sends a request for something under /v2/. @returns undefined where the answer was broken off or 503 */
  async send(path: string, asked: Asked, init: RequestInit = {}): Promise<Answer | undefined> {
    const url = `${this.#origins[this.#turn++ % this.#origins.length]}/v2/${path}`;
    const what = `${init.method ?? 'GET'} ${path.replaceAll(/[0-9a-f-]{32,}/g, '…')}`;
    return await this.take(what, fetch(url, init), init.method === 'HEAD' ? { ...asked, digest: undefined } : asked);
  }

  /** Takes the answer to a request that somebody has sent just now. @returns the same */
  async take(what: string, coming: Promise<Response>, asked: Asked): Promise<Answer | undefined> {
    const sentAt = Date.now();
    const answer = await orUndefined(coming);
    if (answer === undefined) return undefined;
    await asked.answered?.(answer.status, sentAt);
    const body = await orUndefined(answer.bytes());
    if (body === undefined) return undefined;
    const { status, headers } = answer;
    this.#findings.looked('I10');
    const wrong = wrongIn({ status, headers, body, sentAt }, asked);
    if (wrong === undefined) return status === 503 ? undefined : { status, headers, body, sentAt };
    this.#findings.found({ invariant: 'I10', words: `${what}: ${wrong}` });
    return undefined;
  }
}

/** What is broken off its client sees. */
async function orUndefined<T>(coming: Promise<T>): Promise<T | undefined> {
  try {
    return await coming;
  } catch {
    return undefined;
  }
}

function wrongIn({ status, headers, body }: Answer, { expected, digest }: Asked): string | undefined {
  if (status === 503) return headers.has('retry-after') ? undefined : '503 without Retry-After';
  if (!expected.includes(status)) return `${status} ${new TextDecoder().decode(body.subarray(0, 200))}`;
  return status === 200 && digest !== undefined && digestOf(body) !== digest ? 'other bytes' : undefined;
}

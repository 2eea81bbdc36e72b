import type { Door } from './options.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { Tally } from './tally.ts';

const answerWithinMs = 30_000;
const betweenProbesMs = 50;
/** So many requests of a client go elsewhere once it has found nobody at a door. */
const leftOut = 30;
/** How long it may take to answer again: where it is killed as a part of the storm, and where it is not. */
const comesBackWithinMs = { killed: 60_000, otherwise: 2000 };

/** What stands in a request beside its kind and place. */
export interface RequestParts {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Where it came from, to resolve a Location by. */
  readonly url: URL;
  /** When the request was sent, of performance.now(): what the answer promises counts from here at the latest. */
  readonly sentAt: number;
}

/** A request without an answer that says what has become of it: it may have taken effect or not. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered';
}

/** The registry has not answered for so long that the storm is over. */
export class RegistryGone extends Error {
  override readonly name = 'RegistryGone';
}

/**
 * Sends requests to the registry, times them, and judges what no registry may answer, whatever was asked. Where it has
 * several doors, each request goes through a random one.
 */
export class RegistryClient {
  readonly #doors: readonly Door[];
  readonly #random: SeededRandom;
  readonly #allowDown: boolean;
  readonly #tally: Tally;
  /** Where a request has found nobody, and how many more do not try there. */
  #closed: { readonly door: Door; left: number } | undefined;

  constructor(parts: {
    readonly doors: readonly Door[];
    readonly random: SeededRandom;
    readonly allowDown: boolean;
    readonly tally: Tally;
  }) {
    this.#doors = parts.doors;
    this.#random = parts.random;
    this.#allowDown = parts.allowDown;
    this.#tally = parts.tally;
  }

  /**
   * Sends a request; `kind` is the line of the report that it belongs to. A URL, as a Location says it, is followed through
   * another door than the one that it is of.
   * @throws Unanswered where the connection breaks, or the answer is the registry's own failure (5xx)
   */
  async send(kind: string, method: string, place: string | URL, parts: RequestParts = {}): Promise<Answer> {
    const door = this.#doorFor(place);
    const url =
      typeof place === 'string'
        ? new URL(`/v2/${place}`, door.origin)
        : new URL(place.pathname + place.search, door.origin);
    const sentAt = performance.now();
    let answer: Answer;
    try {
      const response = await fetch(url, {
        method,
        // Where a connection that was kept breaks before the answer, the runtime sends the request again by itself: of a
        // delete that a killed registry had carried out, only the second answer would be seen, a 404.
        keepalive: !(this.#allowDown && method === 'DELETE'),
        headers: {
          ...parts.headers,
          ...(door.authorization === undefined ? {} : { authorization: door.authorization }),
        },
        signal: AbortSignal.timeout(answerWithinMs),
        ...(parts.body === undefined ? {} : { body: parts.body }),
      });
      const body = new Uint8Array(await response.arrayBuffer());
      answer = { status: response.status, headers: response.headers, body, url, sentAt };
    } catch (error) {
      this.#closed = { door, left: leftOut };
      const how = error instanceof Error ? error.message : String(error);
      this.#unanswered(`${method} ${url.pathname}`, 'no answer', how, this.#allowDown);
    }
    this.#tally.took(kind, performance.now() - sentAt);
    this.#tally.pushedBytes += parts.body?.length ?? 0;
    this.#tally.pulledBytes += answer.body.length;
    const { status } = answer;
    if (status >= 500) {
      const mayBe = this.#allowDown && status === 503;
      this.#unanswered(`${method} ${url.pathname}`, `answer ${status}`, textOf(answer), mayBe);
    }
    return answer;
  }

  /** Waits until the registry answers again. @throws RegistryGone when it has not for too long */
  async untilAnswering(): Promise<void> {
    const withinMs = this.#allowDown ? comesBackWithinMs.killed : comesBackWithinMs.otherwise;
    const deadline = performance.now() + withinMs;
    while (performance.now() < deadline) {
      try {
        const response = await fetch(new URL('/v2/', this.#random.pick(this.#doors)?.origin), {
          signal: AbortSignal.timeout(1000),
        });
        await response.arrayBuffer();
        if (response.status < 500) return;
      } catch {
        // Still down.
      }
      await Bun.sleep(betweenProbesMs);
    }
    throw new RegistryGone(`the registry has not answered for ${withinMs / 1000} s`);
  }

  /** Any door, but for the one that a session has come through, and the one where nobody was just now. */
  #doorFor(place: string | URL): Door {
    const left = typeof place === 'string' ? undefined : this.#doors.find(({ origin }) => origin === place.origin);
    // A Location may lead away from all of them.
    if (typeof place !== 'string' && left === undefined) return { origin: place.origin, authorization: undefined };
    const closed = this.#closedDoor();
    const others = this.#doors.filter((door) => door !== left && door !== closed);
    const door = this.#random.pick(others) ?? left ?? closed;
    if (door === undefined) throw new Error('a storm needs a registry');
    return door;
  }

  /** The door to leave out for now. */
  #closedDoor(): Door | undefined {
    if (this.#closed === undefined) return undefined;
    this.#closed.left -= 1;
    const { door, left } = this.#closed;
    if (left === 0) this.#closed = undefined;
    return door;
  }

  #unanswered(request: string, how: string, got: string, isExpected: boolean): never {
    if (isExpected) this.#tally.unanswered.push({ at: Date.now(), how });
    else this.#tally.findings.wrong(how, { request, expected: 'an answer below 500', got });
    throw new Unanswered(`${request}: ${how}`);
  }
}

/** An answer in words: its status and the beginning of its body. */
export function textOf({ status, body }: Answer): string {
  return `${status} ${new TextDecoder().decode(body.subarray(0, 400))}`.trimEnd();
}

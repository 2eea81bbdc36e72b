/** Does something later, unless it is told not to. @returns has it not be done */
export type Later = (act: () => void, ms: number) => () => void;

const realTime: Later = (act, ms) => {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
};

/**
 * A `fetch` that gives a request up, connection and all, where no answer begins within so long: what is only not waited for any
 * longer would still reach the server, and be carried out, after others were told that it had failed.
 *
 * @param withinMs how long the answer's beginning may take; its bytes may take longer
 * @returns rejects with an error named TimeoutError then, which the client tries again
 */
export function fetchWithin(withinMs: number, later = realTime): typeof fetch {
  async function sendWithin(request: string | URL | Request, init?: RequestInit): Promise<Response> {
    const late = new AbortController();
    const cancel = later(
      () => late.abort(new DOMException(`no answer within ${withinMs} ms`, 'TimeoutError')),
      withinMs,
    );
    const given = init?.signal ?? (request instanceof Request ? request.signal : undefined);
    const signal = given === undefined ? late.signal : AbortSignal.any([given, late.signal]);
    try {
      return await fetch(request, { ...init, signal });
    } finally {
      cancel();
    }
  }
  return Object.assign(sendWithin, { preconnect: fetch.preconnect });
}

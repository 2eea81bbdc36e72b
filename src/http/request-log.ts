import { anonymous, identityText } from '../access/identity.ts';
import type { Log } from '../log/log.ts';
import type { Call } from './call.ts';

/** Which requests are logged. */
export type LoggedRequests = 'all' | 'changes' | 'errors';

export interface RequestLogParts {
  readonly log: Log;
  readonly which: LoggedRequests;
  /** Whether an answer that says that the server failed is no failure of it. */
  readonly isExpected: (response: Response) => boolean;
}

/** Writes down which requests were answered, and how. */
export class RequestLog {
  readonly #parts: RequestLogParts;

  constructor(parts: RequestLogParts) {
    this.#parts = parts;
  }

  note(call: Call, path: string, response: Response, durationMs: number): void {
    const { log, which, isExpected } = this.#parts;
    if (!isLogged(which, call.request.method, response.status)) return;
    const fields = {
      requestId: call.requestId,
      method: call.request.method,
      path,
      status: response.status,
      durationMs: Math.round(durationMs * 100) / 100,
      client: call.address(),
      user: call.identity === anonymous ? undefined : identityText(call.identity),
      userAgent: call.request.headers.get('user-agent') ?? undefined,
    };
    if (response.status >= 500 && !isExpected(response)) log.error(fields, 'request failed');
    else log.info(fields, 'request');
  }
}

function isLogged(which: LoggedRequests, method: string, status: number): boolean {
  if (status >= 500) return true;
  switch (which) {
    case 'all':
      return true;
    case 'errors':
      return status >= 400 && method !== 'HEAD';
    case 'changes':
      return method !== 'HEAD' && (method !== 'GET' || status >= 400);
  }
}

import { IssuerUnreachableError } from '../credentials/issuers/unreachable.ts';
import type { Log } from '../log/log.ts';
import { machineFailureOf } from '../registry/failures.ts';
import { BodyCutError } from './bounded-body.ts';
import { type Call, refuse } from './call.ts';
import type { Problem } from './errors.ts';
import { issuerUnreachable, logFailure, problemOf } from './failure-answers.ts';

/** Answers requests that the machine, or a bug, kept from succeeding, and keeps in mind what that means for others. */
export class RequestFailures {
  readonly #log: Log;
  /** Answers to what is refused because the registry is read-only: no failure of the server. */
  readonly #expected = new WeakSet<Response>();
  #brokenBecause: string | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Why nothing but a restart helps; undefined where none is needed. */
  get brokenBecause(): string | undefined {
    return this.#brokenBecause;
  }

  /** The answer to such a request. No stack trace ever leaves the process. */
  answer(call: Pick<Call, 'requestId'>, error: unknown): Response {
    const response = refuse(call, this.problemOf(call.requestId, error));
    if (machineFailureOf(error)?.kind === 'read-only') this.#expected.add(response);
    return response;
  }

  /** What the client is told of it; the log has more. */
  problemOf(requestId: string, error: unknown): Problem {
    if (error instanceof IssuerUnreachableError) {
      this.#log.warn({ requestId, err: error }, 'a token could not be checked');
      return issuerUnreachable(error);
    }
    // Nobody is there any more to read this.
    if (error instanceof BodyCutError) return { code: 'UNSUPPORTED', status: 400, message: error.message };
    const failed = machineFailureOf(error);
    if (failed?.kind === 'broken') this.#brokenBecause = failed.message;
    logFailure(requestId, failed, error, this.#log);
    return problemOf(failed);
  }

  /** Whether an answer says no more than that the registry is read-only. */
  isExpected(response: Response): boolean {
    return this.#expected.has(response);
  }
}

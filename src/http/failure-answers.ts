import type { IssuerUnreachableError } from '../credentials/issuers/unreachable.ts';
import type { Log } from '../log/log.ts';
import type { MachineFailure } from '../registry/failures.ts';
import type { Problem } from './errors.ts';

/** Logs why a request did not succeed, where the request is not to blame. `failed` is undefined for a bug. */
export function logFailure(requestId: string, failed: MachineFailure | undefined, err: unknown, log: Log): void {
  if (failed === undefined || failed.kind === 'broken' || failed.kind === 'faulty') {
    log.error({ requestId, err }, 'a request failed unexpectedly');
  } else if (failed.kind === 'full') {
    log.error({ requestId, cause: failed.message }, 'a request found no room');
  } else if (failed.kind === 'busy') {
    log.warn({ requestId, cause: failed.message }, 'a request has to be tried again');
  }
}

/** What a client is told whose token nobody can tell to be genuine just now. */
export function issuerUnreachable(error: IssuerUnreachableError): Problem {
  return { code: 'UNAVAILABLE', message: `${error.message}: try again`, headers: { 'retry-after': '5' } };
}

/** What a client is told of a request that the machine, or a bug, kept from succeeding. */
export function problemOf(failed: MachineFailure | undefined): Problem {
  switch (failed?.kind) {
    case 'full':
      return { code: 'STORAGE_FULL', message: `${failed.message}: delete something or make room, then try again` };
    case 'busy':
      return { code: 'UNAVAILABLE', message: `${failed.message}: try again`, headers: { 'retry-after': '1' } };
    case 'read-only':
      return { code: 'UNAVAILABLE', message: `${failed.message}; pulls go on`, headers: { 'retry-after': '30' } };
    case 'unstorable':
      return { code: 'UNSUPPORTED', status: 400, message: `${failed.message}: leave it out` };
    case 'broken':
      return { code: 'UNAVAILABLE', message: failed.message };
    case 'faulty':
      return {
        code: 'UNAVAILABLE',
        message: `${failed.message}: its log says more under this request's id (X-Request-Id)`,
      };
    case 'gone':
      return { code: 'BLOB_UNKNOWN', message: 'the blob was deleted a moment ago' };
    case undefined:
      return {
        code: 'INTERNAL',
        message: "the registry failed; its log says more under this request's id (X-Request-Id)",
      };
  }
}

import { errorBody, type Problem } from '../errors.ts';

/** What a connection too many is told, where it can be told anything. */
export function tooManyConnectionsAnswer(outcome: 'too-many' | 'too-many-of-client'): string {
  return outcome === 'too-many'
    ? answerText('503 Service Unavailable', {
        code: 'UNAVAILABLE',
        message: 'the registry has as many connections as it takes: try again in a moment',
        detail: { setting: 'limits.connections' },
      })
    : answerText('429 Too Many Requests', {
        code: 'TOOMANYREQUESTS',
        message: 'this address has as many connections open as it may: close some, or try again in a moment',
        detail: { setting: 'limits.connectionsPerClient' },
      });
}

/** What is told to whoever has shown a certificate that is not accepted. */
export function badCertificateProblem(reason: string): Problem {
  return {
    code: 'DENIED',
    message: `the client certificate is not accepted (${reason}): show one that the registry's authorities have signed, or none`,
    detail: { reason },
  };
}

/** The same, for who has not got to an HTTP server. */
export function badCertificateAnswer(reason: string): string {
  return answerText('403 Forbidden', badCertificateProblem(reason));
}

/** A whole answer of HTTP/1.1, written where no HTTP server has read the request. */
function answerText(status: string, problem: Problem): string {
  const body = errorBody(problem);
  const retryAfter = problem.code === 'DENIED' ? '' : 'Retry-After: 1\r\n';
  return `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${retryAfter}Connection: close\r\n\r\n${body}`;
}

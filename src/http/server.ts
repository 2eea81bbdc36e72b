import type { AccessControl, Login } from '../access/access-control.ts';
import type { Credentials } from '../access/authenticator.ts';
import { anonymous, type Identity, identityText } from '../access/identity.ts';
import { IssuerUnreachableError } from '../credentials/issuers/unreachable.ts';
import type { TokenService } from '../credentials/tokens/token-service.ts';
import type { Log } from '../log/log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { machineFailureOf } from '../registry/failures.ts';
import { requestActor } from '../registry/actor.ts';
import type { Registry } from '../registry/registry.ts';
import type { AdminParts } from './admin/endpoint.ts';
import { answerAdmin } from './admin/routes.ts';
import { type Call, refuse, type ServerSettings } from './call.ts';
import { credentialsOf } from './credentials.ts';
import { denial, loginProblem } from './denials.ts';
import type { Problem } from './errors.ts';
import { issuerUnreachable, logFailure, problemOf } from './failure-answers.ts';
import { clientAddressOf, originOf, TrustedProxies } from './forwarded.ts';
import { answerTarget, type Target, targetOf } from './oci/routes.ts';
import { answerToken, refuseTokenLogin } from './token.ts';
import { answerOperational, type OperationalResource, operationalResourceOf } from './operational.ts';

/** How answers leave. A test ends the process before or after one (test/crash). */
export interface HttpCalls {
  /** Hands an answer to the runtime, which sends it. */
  answer(response: Response): Response;
}

export const httpCalls: HttpCalls = { answer: (response) => response };

export interface HttpOptions {
  readonly registry: Registry;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly hostname: string;
  readonly port: number;
  readonly settings: ServerSettings;
  readonly admin: AdminParts;
  readonly access: AccessControl;
  /** Gives tokens at /token; undefined where the registry gives none. */
  readonly tokens?: TokenService | undefined;
  readonly trustedProxies: readonly string[];
  readonly idleTimeoutMs: number;
  /** Which requests are logged. */
  readonly logRequests: 'all' | 'changes' | 'errors';
  readonly calls?: HttpCalls;
}

export interface HttpServer {
  readonly url: URL;
  /** For how long no request has come or been under way, in ms. */
  quietMs(): number;
  /** Takes no more connections, lets running requests end for `drainMs`, then cuts them off. */
  stop(drainMs: number): Promise<void>;
}

/** The longest time that the runtime lets a connection be silent, in seconds. */
const maxIdleSeconds = 255;
/** How often a server that is stopping looks whether requests are still running, in ms. */
const drainLookMs = 10;

/** Listens, and leads every request through its life: route, log in, authorise, answer, count, log. */
export function startHttpServer(options: HttpOptions): HttpServer {
  const { registry, metrics, log, settings, access, tokens, calls = httpCalls } = options;
  const proxies = new TrustedProxies(options.trustedProxies);
  const nextRequestId = requestIds();
  let brokenBecause: string | undefined;
  let lastRequestAt = -Infinity;

  const server = Bun.serve({
    hostname: options.hostname,
    port: options.port,
    development: false,
    // Without this the runtime lets a second process share the port unnoticed.
    reusePort: false,
    idleTimeout: Math.min(Math.ceil(options.idleTimeoutMs / 1000), maxIdleSeconds),
    // Blobs have no limit; manifests have their own.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: respond,
    error: (error) => failure({ requestId: nextRequestId() }, error),
  });

  async function respond(request: Request, bun: Bun.Server<undefined>): Promise<Response> {
    const startedAt = performance.now();
    lastRequestAt = startedAt;
    const { url } = request;
    // Without a Host that a URL can have, the runtime gives the path alone.
    const pathStart = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
    const queryStart = url.indexOf('?', pathStart);
    const path = url.slice(pathStart, queryStart === -1 ? undefined : queryStart);
    const { method } = request;
    // Who goes while sending has no address afterwards; who asks is still there, and needs none where nothing is logged.
    const isSending = method !== 'GET' && method !== 'HEAD';
    const destination = path === '/token' && tokens !== undefined ? tokenDestination : destinationOf(method, path);
    const needsLogin = asksWho(destination) && (!access.isOpen || destination.scope === 'admin');
    const peer = isSending || needsLogin ? bun.requestIP(request)?.address : undefined;
    const origin = (): string => originOf(request, proxies.trusts(bun.requestIP(request)?.address));
    // Before anything else is done with it: what somebody may not do costs the stores nothing.
    const requestId = nextRequestId();
    const login = needsLogin ? await logIn(request, { requestId, peer, origin }) : nobody;
    const call: Call = {
      registry,
      settings,
      request,
      identity: login.identity,
      rights: access.rightsOf(login.identity),
      access,
      requestId,
      queryText: queryStart === -1 ? '' : url.slice(queryStart + 1),
      origin,
      actor: () =>
        requestActor({
          who: whoOf(login.identity, destination),
          address: clientAddressOf(request, peer, proxies),
          userAgent: request.headers.get('user-agent') ?? undefined,
          requestId,
        }),
      allowSlowAnswer: () => bun.timeout(request, maxIdleSeconds),
    };
    const response =
      login.problem === undefined
        ? await answered(call, path, { destination, peer })
        : (destination.scope === 'token' ? refuseTokenLogin : refuse)(call, login.problem);
    const durationMs = performance.now() - startedAt;
    metrics.answered(destination.resource, method, response.status, durationMs);
    if (isLogged(options.logRequests, method, response.status)) {
      const address = isSending || needsLogin ? peer : bun.requestIP(request)?.address;
      logRequest(call, path, response, durationMs, clientAddressOf(request, address, proxies));
    }
    return calls.answer(response);
  }

  /** Who asks, or why that cannot be told. */
  async function logIn(request: Request, { requestId, peer, origin }: LoginCall): Promise<LoggedIn> {
    const credentials = credentialsOf(request);
    if (credentials === undefined) return nobody;
    try {
      const isMalformed = credentials === 'malformed';
      const login: Login = isMalformed
        ? { outcome: 'refused' }
        : await access.logIn(credentials, clientAddressOf(request, peer, proxies));
      if (login.outcome === 'known') return { identity: login.identity, problem: undefined };
      const scheme = isMalformed ? undefined : credentials.scheme;
      return { ...nobody, problem: loginProblem({ access, origin }, { scheme, login }) };
    } catch (error) {
      return { ...nobody, problem: failureProblem(requestId, error) };
    }
  }

  async function loggedIn(request: Request, peer: string | undefined, credentials: Credentials): Promise<Login> {
    return await access.logIn(credentials, clientAddressOf(request, peer, proxies));
  }

  async function answered(
    call: Call,
    path: string,
    { destination, peer }: { readonly destination: Destination; readonly peer: string | undefined },
  ): Promise<Response> {
    try {
      switch (destination.scope) {
        case 'operation':
          if (destination.resource === 'metrics' && !access.isOpen && !call.rights.mayEverywhere('admin')) {
            return refuse(call, denial(call, 'admin', undefined));
          }
          return await answerOperational(call, path, destination.resource, { metrics, brokenBecause });
        case 'admin':
          return await answerAdmin({ ...call, admin: options.admin }, path);
        case 'token':
          return tokens === undefined
            ? await answerOperational(call, path, 'unknown', { metrics, brokenBecause })
            : await answerToken(call, {
                service: tokens,
                logIn: async (credentials) => await loggedIn(call.request, peer, credentials),
              });
        case 'registry':
        case 'repository':
          return await answerTarget(call, destination);
      }
    } catch (error) {
      return failure(call, error);
    }
  }

  /** The answer to a request that the machine kept from succeeding. No stack trace ever leaves the process. */
  function failure(call: Pick<Call, 'requestId'>, error: unknown): Response {
    return refuse(call, failureProblem(call.requestId, error));
  }

  function failureProblem(requestId: string, error: unknown): Problem {
    if (error instanceof IssuerUnreachableError) {
      log.warn({ requestId, err: error }, 'a token could not be checked');
      return issuerUnreachable(error);
    }
    const failed = machineFailureOf(error);
    if (failed?.kind === 'broken') brokenBecause = failed.message;
    logFailure(requestId, failed, error, log);
    return problemOf(failed);
  }

  function logRequest(call: Call, path: string, response: Response, durationMs: number, client: string | undefined) {
    const fields = {
      requestId: call.requestId,
      method: call.request.method,
      path,
      status: response.status,
      durationMs: Math.round(durationMs * 100) / 100,
      client,
      user: call.identity === anonymous ? undefined : identityText(call.identity),
      userAgent: call.request.headers.get('user-agent') ?? undefined,
    };
    if (response.status >= 500) log.error(fields, 'request failed');
    else log.info(fields, 'request');
  }

  return {
    url: server.url,
    quietMs: () => (server.pendingRequests > 0 ? 0 : performance.now() - lastRequestAt),
    async stop(drainMs) {
      await Promise.race([server.stop(), requestsEnded(server, drainMs)]);
      await server.stop(true);
    },
  };
}

/**
 * Resolves once no request is running, or after `limitMs`. The runtime's own stop() waits for connections: one that has
 * sent half a request, or has kept back the body of a refused one, would hold it up for ever.
 */
async function requestsEnded(server: Bun.Server<undefined>, limitMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const limit = setTimeout(resolve, limitMs);
  const look = setInterval(() => {
    if (server.pendingRequests === 0) resolve();
  }, drainLookMs);
  await promise;
  clearTimeout(limit);
  clearInterval(look);
}

/** Unguessable in its first part, which is the process's, and counting in its second. */
function requestIds(): () => string {
  const prefix = crypto.randomUUID().slice(0, 8);
  let count = 0;
  return () => `${prefix}-${(++count).toString(36)}`;
}

type Destination =
  | Target
  | { readonly scope: 'admin'; readonly resource: 'admin' }
  | { readonly scope: 'token'; readonly resource: 'token' }
  | { readonly scope: 'operation'; readonly resource: OperationalResource };

const tokenDestination: Destination = { scope: 'token', resource: 'token' };

/** Who asks; `problem` is why that cannot be told. */
interface LoggedIn {
  readonly identity: Identity;
  readonly problem: Problem | undefined;
}

/** What is known of a request before it is known who asks. */
interface LoginCall {
  readonly requestId: string;
  readonly peer: string | undefined;
  readonly origin: () => string;
}

const nobody: LoggedIn = { identity: anonymous, problem: undefined };

/** Whether what is asked for is not for everybody. */
function asksWho({ scope, resource }: Destination): boolean {
  return scope !== 'operation' || resource === 'metrics';
}

/** For the log of what happened. */
function whoOf(identity: Identity, { scope }: Destination): string {
  if (identity.kind === 'anonymous') return 'client';
  return identity.kind === 'operator' && scope === 'admin' ? 'admin' : identityText(identity);
}

/** Where a request leads, and what it is counted under, whatever comes of it. */
function destinationOf(method: string, path: string): Destination {
  if (path.startsWith('/admin/')) return { scope: 'admin', resource: 'admin' };
  const decoded = path.includes('%') ? percentDecoded(path) : path;
  const target = decoded === undefined ? undefined : targetOf(decoded);
  return target ?? { scope: 'operation', resource: operationalResourceOf(method, path) };
}

/** Undefined where the percent signs make no sense. */
function percentDecoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function isLogged(which: HttpOptions['logRequests'], method: string, status: number): boolean {
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

import type { AccessControl } from '../access/access-control.ts';
import { anonymous, type Identity, identityKey, identityText } from '../access/identity.ts';
import { IssuerUnreachableError } from '../credentials/issuers/unreachable.ts';
import type { TokenService } from '../credentials/tokens/token-service.ts';
import type { AccessDenial } from '../audit/access-denials.ts';
import type { PurgeRefusal } from '../audit/purge-refusals.ts';
import type { Log } from '../log/log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { machineFailureOf } from '../registry/failures.ts';
import { requestActor } from '../registry/actor.ts';
import type { Registry } from '../registry/registry.ts';
import type { AdminParts } from './admin/endpoint.ts';
import { answerAdmin } from './admin/routes.ts';
import { type Call, refuse, type ServerSettings } from './call.ts';
import { BodyCutError } from './bounded-body.ts';
import { ConnectionResetter } from './connection-reset.ts';
import { denial } from './denials.ts';
import { type Destination, destinationOf, isProbe } from './destination.ts';
import type { Problem } from './errors.ts';
import { issuerUnreachable, logFailure, problemOf } from './failure-answers.ts';
import { clientAddressOf, originOf } from './forwarded.ts';
import { Networks } from './networks.ts';
import { type Door, type DoorSharing, openDoors, type ServerUse } from './front/doors.ts';
import { askedFor, askKeeper, isForKeeper, type KeeperTerms } from './keeper.ts';
import { SiblingBusyError } from '../registry/siblings.ts';
import { directPeer, type Peer, Peers } from './front/peers.ts';
import { HostCheck, type HostRules } from './host-check.ts';
import { clientKeyOf } from './limits/client-key.ts';
import { type Admitted, type ClientLimits, ClientTurnstile, unlimited } from './limits/client-limits.ts';
import { type ConnectionLimits, OpenConnections } from './limits/open-connections.ts';
import { isSentByAnotherSite, otherSiteProblem } from './other-sites.ts';
import { answerTarget } from './oci/routes.ts';
import { drainLookMs, pendingRequestsOf, requestsEnded } from './running-requests.ts';
import { answerToken, refuseTokenLogin } from './token.ts';
import type { ServerCertificate } from './tls/server-certificate.ts';
import { actionFor, answerOperational } from './operational.ts';
import { nobody, WhoAsks } from './who-asks.ts';

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
  /** Where it is served; the first is the one that is announced. */
  readonly doors: readonly [Door, ...Door[]];
  readonly connectionLimits: ConnectionLimits;
  readonly clientLimits: ClientLimits;
  readonly settings: ServerSettings;
  readonly admin: AdminParts;
  readonly access: AccessControl;
  /** Gives tokens at /token; undefined where the registry gives none. */
  readonly tokens?: TokenService | undefined;
  /** Is told what somebody may not do; nobody is where it is left out. */
  readonly onDenied?: ((denial: AccessDenial) => void) | undefined;
  /** Is told of each push that was refused for a purge. */
  readonly onKeptOut?: ((refusal: PurgeRefusal) => void) | undefined;
  /** Where other processes serve the same registry on the same ports. */
  readonly sharing?: (DoorSharing & KeeperTerms) | undefined;
  readonly hosts: HostRules;
  readonly trustedProxies: readonly string[];
  readonly idleTimeoutMs: number;
  /** Which requests are logged. */
  readonly logRequests: 'all' | 'changes' | 'errors';
  readonly calls?: HttpCalls;
}

export interface HttpServer {
  readonly url: URL;
  /** Of the doors, in their order. */
  readonly ports: readonly number[];
  /** Where the operator's programs on this machine reach the admin API. */
  readonly adminOrigin: string;
  /** Shows another certificate to whoever connects from now on. */
  exchangeCertificate(certificate: ServerCertificate): void;
  /** For how long no request has come or been under way, in ms. */
  quietMs(): number;
  /** Takes no more connections, lets running requests end for `drainMs`, then cuts them off. */
  stop(drainMs: number): Promise<void>;
}

/** The longest time that the runtime lets a connection be silent, in seconds. */
const maxIdleSeconds = 255;
/**
 * The shortest, in seconds: how a connection is closed before its answer has been sent, where it cannot be reset. The
 * runtime looks every four seconds; until then nothing more comes of a file that has become empty.
 */
const shortestIdleSeconds = 1;

/**
 * Listens, and leads every request through its life: route, log in, authorise, answer, count, log.
 * @throws DoorError where it cannot listen
 */
export async function startHttpServer(options: HttpOptions): Promise<HttpServer> {
  const { registry, metrics, log, settings, access, tokens, sharing, calls = httpCalls } = options;
  const proxies = new Networks(options.trustedProxies);
  const hosts = new HostCheck(options.hosts);
  const logins = new WhoAsks({ access, clock: registry.clock, proxies, problemOf: failureProblem });
  let brokenBecause: string | undefined;
  /** Answers to what is refused because the registry is read-only: no failure of the server. */
  const expectedRefusals = new WeakSet<Response>();
  let lastRequestAt = -Infinity;

  const turnstile = new ClientTurnstile(options.clientLimits, () => performance.now());
  const peers = new Peers();
  const resetter = new ConnectionResetter();
  const doors = await openDoors(options.doors, {
    connections: new OpenConnections(options.connectionLimits, (address) => proxies.contain(address)),
    peers,
    log,
    onRefused: (certificate) => access.noteRefused({ ...certificate, means: 'certificate', requestId: undefined }),
    serveOn,
    sharing,
  });

  /** A server of the runtime's. */
  function serveOn(
    hostname: string,
    port: number,
    { isFronted = false, isShared = false }: ServerUse,
  ): Bun.Server<undefined> {
    return Bun.serve({
      hostname,
      port,
      development: false,
      // Without this the runtime lets a second process share the port unnoticed.
      reusePort: isShared,
      idleTimeout: Math.min(Math.ceil(options.idleTimeoutMs / 1000), maxIdleSeconds),
      // Blobs have no limit; manifests have their own.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request, bun) => respond(request, bun, isFronted),
      error: (error) => failure({ requestId: newRequestId() }, error),
    });
  }

  /** Who sends a request. */
  function peerOf(request: Request, bun: Bun.Server<undefined>, isFronted: boolean): Peer {
    const asked = sharing?.isKeeper === true ? askedFor(sharing, request) : undefined;
    if (asked !== undefined) return asked;
    const ip = bun.requestIP(request);
    if (!isFronted) return directPeer(ip?.address);
    return peers.at(ip === null || bun.port === undefined ? undefined : { server: bun.port, front: ip.port });
  }

  /** The client's address. Nobody vouches for what a stranger says of where it comes from. */
  function addressOf(request: Request, peer: Peer | undefined): string | undefined {
    return peer?.isStranger === true ? peer.address : clientAddressOf(request, peer?.address, proxies);
  }

  async function respond(request: Request, bun: Bun.Server<undefined>, isFronted: boolean): Promise<Response> {
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
    const destination = destinationOf(method, path, { givesTokens: tokens !== undefined });
    const early =
      isSending || logins.needsLogin(destination) || isFronted || turnstile.countsAll
        ? peerOf(request, bun, isFronted)
        : undefined;
    early?.connection?.asked();
    const peer = (): Peer => early ?? peerOf(request, bun, isFronted);
    const origin = (): string => {
      const { address, isEncrypted, isStranger } = peer();
      return originOf(request, !isStranger && proxies.contain(address), isEncrypted);
    };
    // Before anything else is done with it: what somebody may not do costs the stores nothing.
    const requestId = newRequestId();
    const login =
      early === undefined ? nobody : await logins.whoSends(request, { requestId, peer: early, origin, destination });
    const admitted = admit(request, { destination, peer: early, identity: login.identity });
    const since = registry.responses.moment;
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
      address: () => addressOf(request, peer()),
      actor: () =>
        requestActor({
          who: whoOf(login.identity, destination),
          identity: identityKey(login.identity),
          address: addressOf(request, early),
          userAgent: request.headers.get('user-agent') ?? undefined,
          requestId,
        }),
      onReceived: 'end' in admitted ? admitted.onReceived : undefined,
      sessionLimit: () => turnstile.sessionLimitOf(early && clientOf(request, early, login.identity)),
      noteDenial: (action, repo, reason, tag) => options.onDenied?.({ actor: call.actor(), action, repo, reason, tag }),
      noteKeptOut: (repo, purged) => options.onKeptOut?.({ actor: call.actor(), repo, purged }),
      sends(sent) {
        const isHandedOver = (): boolean => bun.requestIP(request) === null;
        return registry.responses.begin(
          sent,
          early?.connection?.response(isHandedOver) ?? {
            isOver: isHandedOver,
            cut() {
              const ip = bun.requestIP(request);
              bun.timeout(request, shortestIdleSeconds);
              if (ip !== null && bun.port !== undefined) resetter.reset({ ...ip, localPort: bun.port });
              return true;
            },
          },
          since,
        );
      },
      allowSlowAnswer: () => bun.timeout(request, maxIdleSeconds),
    };
    const problem = 'end' in admitted ? login.problem : admitted;
    const passedOn =
      problem === undefined && sharing?.isKeeper === false && isForKeeper(destination)
        ? await passOn(call, sharing, peer())
        : undefined;
    const response =
      passedOn ??
      (problem === undefined
        ? await answered(call, path, { destination, peer: early })
        : (destination.scope === 'token' ? refuseTokenLogin : refuse)(call, problem));
    if ('end' in admitted) admitted.end();
    const durationMs = performance.now() - startedAt;
    // What another process has answered it counts.
    if (passedOn === undefined) metrics.answered(destination.resource, method, response.status, durationMs);
    if (passedOn === undefined && isLogged(options.logRequests, method, response.status)) {
      logRequest(call, path, response, durationMs, addressOf(request, peer()));
    }
    return calls.answer(response);
  }

  /** Has the worker answer that keeps what all of them share. */
  async function passOn(call: Call, terms: KeeperTerms, peer: Peer): Promise<Response> {
    call.allowSlowAnswer();
    const answer = await askKeeper(terms, call.request, peer);
    if (answer !== undefined) return answer;
    return failure(call, new SiblingBusyError('the process that answers this is not there for the moment'));
  }

  /** Lets a request in, or says why not, before anything of its body is read. */
  function admit(request: Request, { destination, peer, identity }: Asking): Admitted | Problem {
    if (isSentByAnotherSite(request)) return otherSiteProblem;
    const problem = isProbe(destination)
      ? undefined
      : hosts.problemOf(request.headers.get('host'), destination.scope === 'admin');
    if (problem !== undefined) return problem;
    if (destination.scope === 'admin') return unlimited;
    if (peer === undefined || peer.isStranger || destination.scope === 'operation') return unlimited;
    return turnstile.admit(clientOf(request, peer, identity), hasBody(request));
  }

  /** Under what a client is counted. */
  function clientOf(request: Request, peer: Peer, identity: Identity): string | undefined {
    const address = addressOf(request, peer);
    // A proxy that does not say for whom it asks is not the one to be limited.
    return clientKeyOf(identity, proxies.contain(address) ? undefined : address);
  }

  async function answered(
    call: Call,
    path: string,
    { destination, peer }: { readonly destination: Destination; readonly peer: Peer | undefined },
  ): Promise<Response> {
    try {
      switch (destination.scope) {
        case 'operation': {
          const action = actionFor(destination.resource);
          if (action !== undefined && !access.isOpen && !call.rights.mayEverywhere(action)) {
            return refuse(call, denial(call, action, undefined));
          }
          return await answerOperational(call, path, destination.resource, { metrics, brokenBecause });
        }
        case 'admin':
          return await answerAdmin({ ...call, admin: options.admin }, path);
        case 'token':
          return tokens === undefined
            ? await answerOperational(call, path, 'unknown', { metrics, brokenBecause })
            : await answerToken(call, {
                service: tokens,
                logIn: async (credentials) =>
                  await access.logIn(credentials, logins.originOf(call.request, call.requestId, peer)),
                onRefused: (refused) =>
                  access.noteRefused({ ...logins.originOf(call.request, call.requestId, peer), ...refused }),
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
    const response = refuse(call, failureProblem(call.requestId, error));
    if (machineFailureOf(error)?.kind === 'read-only') expectedRefusals.add(response);
    return response;
  }

  function failureProblem(requestId: string, error: unknown): Problem {
    if (error instanceof IssuerUnreachableError) {
      log.warn({ requestId, err: error }, 'a token could not be checked');
      return issuerUnreachable(error);
    }
    // Nobody is there any more to read this.
    if (error instanceof BodyCutError) return { code: 'UNSUPPORTED', status: 400, message: error.message };
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
    if (response.status >= 500 && !expectedRefusals.has(response)) log.error(fields, 'request failed');
    else log.info(fields, 'request');
  }

  return {
    url: doors.url,
    ports: doors.ports,
    adminOrigin: doors.adminOrigin,
    exchangeCertificate: (certificate) => doors.exchangeCertificate(certificate),
    quietMs: () => (pendingRequestsOf(doors.servers) > 0 ? 0 : performance.now() - lastRequestAt),
    async stop(drainMs) {
      doors.stopListening();
      const until = performance.now() + drainMs;
      const stopped = Promise.all(doors.servers.map((server) => server.stop()));
      await Promise.race([stopped, requestsEnded(doors.servers, drainMs)]);
      // What the servers have sent may wait here for a slow client; of what is still on its way through loopback, a part
      // comes within a look.
      for (let quietLooks = 0; quietLooks < 2 && doors.isFronted && performance.now() < until;) {
        await Bun.sleep(drainLookMs);
        quietLooks = doors.isBusy() ? 0 : quietLooks + 1;
      }
      await doors.close();
    },
  };
}

/** Who asks for what. */
interface Asking {
  readonly destination: Destination;
  /** Undefined where it makes no difference. */
  readonly peer: Peer | undefined;
  readonly identity: Identity;
}

function hasBody({ headers }: Request): boolean {
  const length = headers.get('content-length');
  return length === null ? headers.has('transfer-encoding') : length !== '0';
}

/** It tells nothing of how many requests there are. */
function newRequestId(): string {
  return crypto.randomUUID();
}

/** For the log of what happened. */
function whoOf(identity: Identity, { scope }: Destination): string {
  if (identity.kind === 'anonymous') return 'client';
  return identity.kind === 'operator' && scope === 'admin' ? 'admin' : identityText(identity);
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

import type { AccessControl } from '../access/access-control.ts';
import { type Identity, identityKey, identityText } from '../access/identity.ts';
import type { AccessDenial } from '../audit/access-denials.ts';
import type { PurgeRefusal } from '../audit/purge-refusals.ts';
import type { TokenService } from '../credentials/tokens/token-service.ts';
import type { Log } from '../log/log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { requestActor } from '../registry/actor.ts';
import type { Registry } from '../registry/registry.ts';
import { SiblingBusyError } from '../registry/siblings.ts';
import type { AdminParts } from './admin/endpoint.ts';
import { answerAdmin } from './admin/routes.ts';
import { type Call, refuse, type ServerSettings } from './call.ts';
import type { Clients } from './clients.ts';
import { ConnectionResetter } from './connection-reset.ts';
import { denial } from './denials.ts';
import { type Destination, destinationOf, isProbe } from './destination.ts';
import type { Problem } from './errors.ts';
import type { Peer } from './front/peers.ts';
import { HostCheck, type HostRules } from './host-check.ts';
import { askKeeper, isForKeeper, type KeeperTerms } from './keeper.ts';
import { type Admitted, type ClientLimits, ClientTurnstile, unlimited } from './limits/client-limits.ts';
import type { Networks } from './networks.ts';
import { answerTarget } from './oci/routes.ts';
import { actionFor, answerOperational, type OperationalState } from './operational.ts';
import { isSentByAnotherSite, otherSiteProblem } from './other-sites.ts';
import { RequestFailures } from './request-failures.ts';
import { type LoggedRequests, RequestLog } from './request-log.ts';
import { answerToken, refuseTokenLogin } from './token.ts';
import { nobody, WhoAsks } from './who-asks.ts';

/** How answers leave. A test ends the process before or after one (test/crash). */
export interface HttpCalls {
  /** Hands an answer to the runtime, which sends it. */
  answer(response: Response): Response;
}

export const httpCalls: HttpCalls = { answer: (response) => response };

export interface RequestsOptions {
  readonly registry: Registry;
  readonly metrics: Metrics;
  readonly log: Log;
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
  readonly sharing?: KeeperTerms | undefined;
  readonly hosts: HostRules;
  readonly logRequests: LoggedRequests;
  readonly calls?: HttpCalls;
}

/** The longest time that the runtime lets a connection be silent, in seconds. */
export const maxIdleSeconds = 255;
/**
 * The shortest, in seconds: how a connection is closed before its answer has been sent, where it cannot be reset. The
 * runtime looks every four seconds; until then nothing more comes of a file that has become empty.
 */
const shortestIdleSeconds = 1;

/** Leads every request through its life: route, log in, authorise, answer, count, log. */
export class Requests {
  readonly #options: RequestsOptions;
  readonly #calls: HttpCalls;
  readonly #clients: Clients;
  readonly #hosts: HostCheck;
  readonly #logins: WhoAsks;
  readonly #turnstile: ClientTurnstile;
  readonly #failures: RequestFailures;
  readonly #requestLog: RequestLog;
  readonly #resetter = new ConnectionResetter();
  #lastAt = -Infinity;

  constructor(
    options: RequestsOptions,
    { clients, proxies }: { readonly clients: Clients; readonly proxies: Networks },
  ) {
    const { access, registry, log, calls = httpCalls } = options;
    this.#options = options;
    this.#calls = calls;
    this.#clients = clients;
    this.#hosts = new HostCheck(options.hosts);
    const failures = new RequestFailures(log);
    this.#failures = failures;
    this.#logins = new WhoAsks({
      access,
      clock: registry.clock,
      proxies,
      problemOf: (requestId, error) => failures.problemOf(requestId, error),
    });
    this.#turnstile = new ClientTurnstile(options.clientLimits, () => performance.now());
    this.#requestLog = new RequestLog({
      log,
      which: options.logRequests,
      isExpected: (response) => failures.isExpected(response),
    });
  }

  /** When the last request came, in ms of `performance.now()`. */
  get lastAt(): number {
    return this.#lastAt;
  }

  async respond(request: Request, bun: Bun.Server<undefined>, isFronted: boolean): Promise<Response> {
    const startedAt = performance.now();
    this.#lastAt = startedAt;
    const arrival = this.#arrivalOf(request, bun, isFronted);
    const { destination, path, requestId, early, origin } = arrival;
    early?.connection?.asked();
    // Before anything else is done with it: what somebody may not do costs the stores nothing.
    const login =
      early === undefined
        ? nobody
        : await this.#logins.whoSends(request, { requestId, peer: early, origin, destination });
    const admitted = this.#admit(arrival, login.identity);
    const call = this.#callOf(arrival, login.identity, 'end' in admitted ? admitted.onReceived : undefined);
    const problem = 'end' in admitted ? login.problem : admitted;
    const passedOn = problem === undefined ? await this.#passedOn(call, arrival) : undefined;
    const response =
      passedOn ??
      (problem === undefined
        ? await this.#answered(call, arrival)
        : (destination.scope === 'token' ? refuseTokenLogin : refuse)(call, problem));
    if ('end' in admitted) admitted.end();
    // What another process has answered it counts, and logs.
    if (passedOn === undefined) {
      const durationMs = performance.now() - startedAt;
      this.#options.metrics.answered(destination.resource, request.method, response.status, durationMs);
      this.#requestLog.note(call, path, response, durationMs);
    }
    return this.#calls.answer(response);
  }

  /** The answer to a request of which nothing is known but that it failed. */
  fail(error: unknown): Response {
    return this.#failures.answer({ requestId: newRequestId() }, error);
  }

  #arrivalOf(request: Request, bun: Bun.Server<undefined>, isFronted: boolean): Arrival {
    const { method } = request;
    const { path, queryText } = targetOf(request.url);
    const destination = destinationOf(method, path, { givesTokens: this.#options.tokens !== undefined });
    const isSending = method !== 'GET' && method !== 'HEAD';
    const early =
      isSending || this.#logins.needsLogin(destination) || isFronted || this.#turnstile.countsAll
        ? this.#clients.peerOf(request, bun, isFronted)
        : undefined;
    const peer = (): Peer => early ?? this.#clients.peerOf(request, bun, isFronted);
    return {
      request,
      bun,
      requestId: newRequestId(),
      path,
      queryText,
      destination,
      early,
      peer,
      origin: () => this.#clients.originOf(request, peer()),
    };
  }

  /** Lets a request in, or says why not, before anything of its body is read. */
  #admit({ request, destination, early }: Arrival, identity: Identity): Admitted | Problem {
    if (isSentByAnotherSite(request)) return otherSiteProblem;
    const problem = isProbe(destination)
      ? undefined
      : this.#hosts.problemOf(request.headers.get('host'), destination.scope === 'admin');
    if (problem !== undefined) return problem;
    if (destination.scope === 'admin') return unlimited;
    if (early === undefined || early.isStranger || destination.scope === 'operation') return unlimited;
    return this.#turnstile.admit(this.#clients.keyOf(request, early, identity), hasBody(request));
  }

  #callOf(
    { request, bun, requestId, queryText, destination, early, peer, origin }: Arrival,
    identity: Identity,
    onReceived: Call['onReceived'],
  ): Call {
    const { registry, settings, access, onDenied, onKeptOut } = this.#options;
    const clients = this.#clients;
    const since = registry.responses.moment;
    const call: Call = {
      registry,
      settings,
      request,
      identity,
      rights: access.rightsOf(identity),
      access,
      requestId,
      queryText,
      origin,
      address: () => clients.addressOf(request, peer()),
      actor: () =>
        requestActor({
          who: whoOf(identity, destination),
          identity: identityKey(identity),
          address: clients.addressOf(request, early),
          userAgent: request.headers.get('user-agent') ?? undefined,
          requestId,
        }),
      onReceived,
      sessionLimit: () => this.#turnstile.sessionLimitOf(early && clients.keyOf(request, early, identity)),
      noteDenial: (action, repo, reason, tag) => onDenied?.({ actor: call.actor(), action, repo, reason, tag }),
      noteKeptOut: (repo, purged) => onKeptOut?.({ actor: call.actor(), repo, purged }),
      sends: (sent) => {
        const isHandedOver = (): boolean => bun.requestIP(request) === null;
        return registry.responses.begin(
          sent,
          early?.connection?.response(isHandedOver) ?? {
            isOver: isHandedOver,
            cut: () => {
              const ip = bun.requestIP(request);
              bun.timeout(request, shortestIdleSeconds);
              if (ip !== null && bun.port !== undefined) this.#resetter.reset({ ...ip, localPort: bun.port });
              return true;
            },
          },
          since,
        );
      },
      allowSlowAnswer: () => bun.timeout(request, maxIdleSeconds),
    };
    return call;
  }

  /** The answer of the worker that keeps what all of them share, where it is for that one to give. */
  async #passedOn(call: Call, { destination, peer }: Arrival): Promise<Response | undefined> {
    const { sharing } = this.#options;
    if (sharing?.isKeeper !== false || !isForKeeper(destination)) return undefined;
    call.allowSlowAnswer();
    const answer = await askKeeper(sharing, call.request, peer());
    if (answer !== undefined) return answer;
    const away = new SiblingBusyError('the process that answers this is not there for the moment');
    return this.#failures.answer(call, away);
  }

  async #answered(call: Call, { path, destination, early }: Arrival): Promise<Response> {
    const { access, tokens, admin } = this.#options;
    try {
      switch (destination.scope) {
        case 'operation': {
          const action = actionFor(destination.resource);
          if (action !== undefined && !access.isOpen && !call.rights.mayEverywhere(action)) {
            return refuse(call, denial(call, action, undefined));
          }
          return await answerOperational(call, path, destination.resource, this.#operationalState);
        }
        case 'admin':
          return await answerAdmin({ ...call, admin }, path);
        case 'token': {
          if (tokens === undefined) return await answerOperational(call, path, 'unknown', this.#operationalState);
          const origin = () => this.#logins.originOf(call.request, call.requestId, early);
          return await answerToken(call, {
            service: tokens,
            logIn: async (credentials) => await access.logIn(credentials, origin()),
            onRefused: (refused) => access.noteRefused({ ...origin(), ...refused }),
          });
        }
        case 'registry':
        case 'repository':
          return await answerTarget(call, destination);
      }
    } catch (error) {
      return this.#failures.answer(call, error);
    }
  }

  get #operationalState(): OperationalState {
    return { metrics: this.#options.metrics, brokenBecause: this.#failures.brokenBecause };
  }
}

/** A request as it comes in. */
interface Arrival {
  readonly request: Request;
  readonly bun: Bun.Server<undefined>;
  readonly requestId: string;
  readonly path: string;
  readonly queryText: string;
  readonly destination: Destination;
  /**
   * Who sends it, found out before anything is done; undefined where it makes no difference. Who goes while sending has no
   * address afterwards; who asks is still there, and needs none where nothing is logged.
   */
  readonly early: Peer | undefined;
  readonly peer: () => Peer;
  readonly origin: () => string;
}

function targetOf(url: string): Pick<Arrival, 'path' | 'queryText'> {
  // Without a Host that a URL can have, the runtime gives the path alone.
  const pathStart = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  const queryStart = url.indexOf('?', pathStart);
  return queryStart === -1
    ? { path: url.slice(pathStart), queryText: '' }
    : { path: url.slice(pathStart, queryStart), queryText: url.slice(queryStart + 1) };
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

import type { AccessControl, Login, LoginOrigin } from '../access/access-control.ts';
import { anonymous, type Identity, operator } from '../access/identity.ts';
import type { Clock } from '../registry/clock.ts';
import { credentialsOf } from './credentials.ts';
import { loginProblem, tokenNeeded } from './denials.ts';
import { asksWho, type Destination } from './destination.ts';
import type { Problem } from './errors.ts';
import { clientAddressOf } from './forwarded.ts';
import type { Networks } from './networks.ts';
import type { Peer } from './front/peers.ts';
import { badCertificateProblem } from './front/refusals.ts';

/** What whoever finds a server behind the fronts is told: who does not come through a door may administer, by the token. */
const strangerProblem: Problem = {
  code: 'DENIED',
  message: 'this port is for the registry itself: use the one where it listens',
};

/** Who asks; `problem` is why that cannot be told. */
export interface LoggedIn {
  readonly identity: Identity;
  readonly problem: Problem | undefined;
}

/** What is known of a request before it is known who asks. */
interface LoginCall {
  readonly requestId: string;
  readonly peer: Peer;
  readonly origin: () => string;
}

export const nobody: LoggedIn = { identity: anonymous, problem: undefined };

/** Verified at the beginning of a connection, or of the session that it resumes, a certificate may end before these do. */
const certificateHasEnded: LoggedIn = { ...nobody, problem: badCertificateProblem('CERT_HAS_EXPIRED') };

export interface WhoAsksParts {
  readonly access: AccessControl;
  readonly clock: Clock;
  readonly proxies: Networks;
  /** What a client is told where it could not be found out who it is. */
  problemOf(requestId: string, error: unknown): Problem;
}

/** Finds out who sends a request: by its connection, its credentials, or its certificate. */
export class WhoAsks {
  readonly #parts: WhoAsksParts;

  constructor(parts: WhoAsksParts) {
    this.#parts = parts;
  }

  /** Who asks, or why nobody is let in who comes so. */
  async whoSends(request: Request, call: LoginCall & { readonly destination: Destination }): Promise<LoggedIn> {
    const { peer, destination } = call;
    if (peer.isStranger) return this.#strangersLogin(request, destination);
    if (peer.certified !== undefined && !(this.#parts.clock.now() < peer.certified.untilMs)) return certificateHasEnded;
    return this.needsLogin(destination) ? await this.#logIn(request, call) : nobody;
  }

  /** Whether it makes a difference who asks. */
  needsLogin(destination: Destination): boolean {
    return asksWho(destination) && (!this.#parts.access.isOpen || destination.scope === 'admin');
  }

  async #logIn(request: Request, { requestId, peer, origin }: LoginCall): Promise<LoggedIn> {
    const { access } = this.#parts;
    const credentials = credentialsOf(request);
    if (credentials === undefined) {
      return peer.certified === undefined ? nobody : { identity: peer.certified.identity, problem: undefined };
    }
    try {
      const isMalformed = credentials === 'malformed';
      if (isMalformed) {
        const refused = { means: 'header Authorization', user: '', reason: 'it makes no sense' } as const;
        access.noteRefused({ ...this.originOf(request, requestId, peer), ...refused });
      }
      const login: Login = isMalformed
        ? { outcome: 'refused' }
        : await access.logIn(credentials, this.originOf(request, requestId, peer));
      if (login.outcome === 'known') return { identity: login.identity, problem: undefined };
      const scheme = isMalformed ? undefined : credentials.scheme;
      return { ...nobody, problem: loginProblem({ access, origin }, { scheme, login }) };
    } catch (error) {
      return { ...nobody, problem: this.#parts.problemOf(requestId, error) };
    }
  }

  /** Where a login comes from, for what is written down of it. */
  originOf(request: Request, requestId: string, peer: Peer | undefined): LoginOrigin {
    return { address: clientAddressOf(request, peer?.address, this.#parts.proxies), requestId };
  }

  /** Whoever comes without a front may administer, by the operator's token. Nothing else that it brings is looked at. */
  #strangersLogin(request: Request, { scope }: Destination): LoggedIn {
    if (scope !== 'admin') return { ...nobody, problem: strangerProblem };
    const credentials = credentialsOf(request);
    return credentials !== undefined && credentials !== 'malformed' && this.#parts.access.isOperator(credentials)
      ? { identity: operator, problem: undefined }
      : { ...nobody, problem: tokenNeeded };
  }
}

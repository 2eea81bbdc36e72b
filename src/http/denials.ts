import type { Action } from '../access/action.ts';
import type { Login } from '../access/access-control.ts';
import type { Credentials } from '../access/authenticator.ts';
import type { ChallengeRequest } from '../access/challenger.ts';
import { identityText, withoutGrants } from '../access/identity.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Call } from './call.ts';
import type { Problem } from './errors.ts';

type Asked = Pick<Call, 'access' | 'origin'>;

/** What the admin API asks for where nobody can log in. */
export const tokenNeeded: Problem = {
  code: 'UNAUTHORIZED',
  message:
    'the admin API needs the token in the file admin.token of the data directory, as "Authorization: Bearer TOKEN"',
  headers: { 'www-authenticate': 'Bearer realm="wherry admin"' },
};

interface FailedLogin {
  /** Undefined where what was shown is neither. */
  readonly scheme: Credentials['scheme'] | undefined;
  readonly login: Exclude<Login, { readonly outcome: 'known' }>;
}

/** What a client is told whose credentials prove nothing. The same whatever is wrong with them. */
export function loginProblem(call: Asked, { scheme, login }: FailedLogin): Problem {
  if (login.outcome === 'slowed') {
    const seconds = Math.ceil(login.waitMs / 1000);
    return {
      code: 'TOOMANYREQUESTS',
      message: `too many logins have failed, or too many come at once: try again in ${seconds} s`,
      headers: { 'retry-after': String(seconds) },
    };
  }
  if (call.access.isOpen) return tokenNeeded;
  return {
    code: 'UNAUTHORIZED',
    message: 'the name and the password, or the token, of this request are not known here: log in again',
    headers: challenge(call, { need: undefined, error: scheme === 'bearer' ? 'invalid_token' : undefined }),
  };
}

/** What a client is told that is to say who it is. */
export function unauthenticated(call: Asked, need?: 'catalog'): Problem {
  return {
    code: 'UNAUTHORIZED',
    message: 'log in first',
    headers: challenge(call, { need, error: undefined }),
  };
}

/** What a client is told that wants the list of repositories by a token that was issued for something else. */
export function catalogDenial(call: Asked): Problem {
  return {
    code: 'UNAUTHORIZED',
    message: 'the token of this request was not issued for the list of repositories: ask for one that is',
    headers: challenge(call, { need: 'catalog', error: 'insufficient_scope' }),
  };
}

/** What a client is told whose token was not issued for the repository that it would mount a blob from, as others may be. */
export function mountDenial(call: Asked, repo: RepositoryName, from: RepositoryName): Problem {
  return {
    code: 'UNAUTHORIZED',
    message: `the token of this request was not issued for pull in ${from}: ask for one that is`,
    detail: { action: 'pull', repository: from },
    headers: challenge(call, {
      need: { action: 'push', repo },
      alsoNeeds: { action: 'pull', repo: from },
      error: 'insufficient_scope',
    }),
  };
}

/**
 * What a client is told that may not do something, which is written down too. It is decided without a look at what there
 * is, and says the same whether the repository exists or not.
 *
 * @param repo undefined for what is not about one repository
 */
export function denial(
  call: Asked & Pick<Call, 'identity' | 'rights' | 'noteDenial'>,
  action: Action,
  repo: RepositoryName | undefined,
): Problem {
  const { identity, rights, access } = call;
  const where = repo === undefined ? 'in every repository' : `in ${repo}`;
  const detail = { action, ...(repo !== undefined && { repository: repo }) };
  const need = { action, repo };
  if (repo !== undefined && rights.needsWiderToken(action, repo)) {
    return {
      code: 'UNAUTHORIZED',
      message: `the token of this request was not issued for ${action} ${where}: ask for one that is`,
      detail,
      headers: challenge(call, { need, error: 'insufficient_scope' }),
    };
  }
  if (identity.kind === 'anonymous' && access.canLogIn) {
    return {
      code: 'UNAUTHORIZED',
      message: `this needs the right to ${action} ${where}: log in first`,
      detail,
      headers: challenge(call, { need, error: undefined }),
    };
  }
  if (identity.grants !== undefined && access.rightsOf(withoutGrants(identity)).mayEverywhere(action)) {
    call.noteDenial(action, repo, 'it was asked for with a token');
    return {
      code: 'DENIED',
      message: `no token is issued for ${action}: ask with a name and a password (Authorization: Basic)`,
      detail,
    };
  }
  call.noteDenial(action, repo, 'no access rule allows it');
  const who = identity.kind === 'anonymous' ? 'nobody' : identityText(identity);
  return {
    code: 'DENIED',
    message: `${who} may not ${action} ${where}: no access rule of the registry allows it`,
    detail,
  };
}

function challenge({ access, origin }: Asked, request: Omit<ChallengeRequest, 'origin'>): Record<string, string> {
  return { 'www-authenticate': access.challenger.challenge({ ...request, origin }) };
}

import type { Login, RefusedLogin } from '../access/access-control.ts';
import type { Credentials } from '../access/authenticator.ts';
import { basicChallenger } from '../access/challenger.ts';
import { mostScopes, parseScopes } from '../credentials/tokens/scope.ts';
import type { Asker, TokenService } from '../credentials/tokens/token-service.ts';
import { quote } from '../oci/quote.ts';
import { readBounded } from './bounded-body.ts';
import { answerJson, type Call, refuse } from './call.ts';
import { loginProblem } from './denials.ts';
import { errorsOf, type Problem, statusOfCode } from './errors.ts';

/** Where clients get tokens of the registry itself. */
export const tokenPath = '/token';

/** What the endpoint has to ask for. */
export interface TokenParts {
  readonly service: TokenService;
  /** Who brings credentials that stand in the body. */
  readonly logIn: (credentials: Credentials) => Promise<Login>;
  /** Is told why somebody was given no token. */
  readonly onRefused: (refused: Pick<RefusedLogin, 'means' | 'user' | 'reason'>) => void;
}

const formType = 'application/x-www-form-urlencoded';
/** A form has a token or a password, and scopes; in bytes. */
const largestForm = 64 * 1024;
const longestClientId = 200;

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const tokenTypePrefix = 'urn:ietf:params:oauth:token-type:';
const subjectTokenTypes = ['id_token', 'jwt'].map((type) => tokenTypePrefix + type);

/** Errors of RFC 6749, 5.2, and RFC 8693, 2.2.2. */
type OAuthError = 'invalid_request' | 'invalid_grant' | 'invalid_target' | 'unsupported_grant_type' | 'invalid_client';

interface Refusal {
  readonly error: OAuthError;
  readonly problem: Problem;
}

/**
 * `GET /token` (distribution, "Token Authentication Specification") and `POST /token` ("Registry v2 authentication using
 * OAuth2", and RFC 8693 for the token of an issuer): a token for what is asked for and allowed.
 */
export async function answerToken(call: Call, parts: TokenParts): Promise<Response> {
  const { method } = call.request;
  if (method === 'GET') return await answerParameters(call, parts, new URLSearchParams(call.queryText));
  if (method === 'POST') {
    const form = await formOf(call.request);
    return 'error' in form ? refuseToken(call, form) : await answerParameters(call, parts, form.parameters);
  }
  return refuse(call, {
    code: 'UNSUPPORTED',
    message: `${method} is not possible here, only GET, POST`,
    detail: { method, allow: 'GET, POST' },
    headers: { allow: 'GET, POST' },
  });
}

/** The answer to credentials in the header that prove nothing. It asks for a password: a token is what is to be had here. */
export function refuseTokenLogin(call: Call, problem: Problem): Response {
  return refuseToken(call, { error: 'invalid_client', problem: withBasicChallenge(call, problem) });
}

async function answerParameters(call: Call, parts: TokenParts, parameters: URLSearchParams): Promise<Response> {
  const { service } = parts;
  const asked = parameters.get('service') ?? service.service;
  if (asked !== service.service) {
    const message = `this registry gives tokens for the service ${quote(service.service)}, not for ${quote(asked)}`;
    return refuseToken(call, invalid(message, 'invalid_target'));
  }
  const scopes = parseScopes(parameters.getAll('scope'));
  if (scopes === undefined)
    return refuseToken(call, invalid(`no more than ${mostScopes} scopes can be asked for at once`));
  const asker = await askerOf(call, parts, parameters);
  if ('error' in asker) return refuseToken(call, asker);
  const isOffline = parameters.get('offline_token') === 'true' || parameters.get('access_type') === 'offline';
  const clientId = (parameters.get('client_id') ?? '').slice(0, longestClientId);
  const outcome = await service.issue({ asker, scopes, isOffline, clientId });
  if (outcome.outcome === 'refused') {
    const means = asker.kind === 'refresh-token' ? 'refresh token' : 'token';
    parts.onRefused({ means, user: outcome.who ?? '', reason: outcome.reason });
    return refuseToken(call, refusedGrant(call));
  }
  const { token, refreshToken } = outcome;
  const isExchange = parameters.get('grant_type') === tokenExchange;
  return answerJson(
    call,
    {
      token: token.token,
      access_token: token.token,
      token_type: 'Bearer',
      expires_in: token.expiresInSeconds,
      issued_at: new Date(token.issuedAt).toISOString(),
      scope: outcome.scopes.join(' '),
      ...(isExchange && { issued_token_type: `${tokenTypePrefix}access_token` }),
      ...(refreshToken !== undefined && { refresh_token: refreshToken }),
    },
    { 'cache-control': 'no-store' },
  );
}

/** Who asks: by the header, or by what a form has. */
async function askerOf(call: Call, { logIn }: TokenParts, parameters: URLSearchParams): Promise<Asker | Refusal> {
  const fromHeader: Asker = { kind: 'identity', identity: call.identity };
  if (call.request.method !== 'POST') return fromHeader;
  const grantType = parameters.get('grant_type');
  switch (grantType) {
    case 'refresh_token': {
      const token = parameters.get('refresh_token');
      return token === null || token === ''
        ? invalid('the form has no refresh_token')
        : { kind: 'refresh-token', token };
    }
    case 'password': {
      const name = parameters.get('username');
      const secret = parameters.get('password');
      if (name === null && secret === null) return fromHeader;
      return await loggedIn(call, logIn, { scheme: 'basic', name: name ?? '', secret: secret ?? '' });
    }
    case tokenExchange: {
      const token = parameters.get('subject_token');
      const type = parameters.get('subject_token_type') ?? '';
      if (token === null || token === '') return invalid('the form has no subject_token');
      if (!subjectTokenTypes.includes(type)) {
        return invalid(`the subject_token_type is ${quote(type)}, and ${subjectTokenTypes.join(' or ')} are possible`);
      }
      return await loggedIn(call, logIn, { scheme: 'bearer', token });
    }
    default: {
      const possible = `password, refresh_token or ${tokenExchange}`;
      const given = grantType === null ? 'the form has no grant_type' : `the grant_type is ${quote(grantType)}`;
      return invalid(
        `${given}: it takes ${possible}`,
        grantType === null ? 'invalid_request' : 'unsupported_grant_type',
      );
    }
  }
}

async function loggedIn(call: Call, logIn: TokenParts['logIn'], credentials: Credentials): Promise<Asker | Refusal> {
  const login = await logIn(credentials);
  if (login.outcome === 'known') return { kind: 'identity', identity: login.identity };
  const problem = withBasicChallenge(call, loginProblem(call, { scheme: credentials.scheme, login }));
  return { error: 'invalid_grant', problem };
}

/** The same whatever is wrong with it. */
function refusedGrant(call: Call): Refusal {
  const problem: Problem = {
    code: 'UNAUTHORIZED',
    message: 'nobody here can be given a token for this: log in again',
  };
  return { error: 'invalid_grant', problem: withBasicChallenge(call, problem) };
}

async function formOf(request: Request): Promise<{ readonly parameters: URLSearchParams } | Refusal> {
  const [type = ''] = (request.headers.get('content-type') ?? '').split(';');
  if (type.trim().toLowerCase() !== formType) return invalid(`the body is to be a form, ${formType}`);
  const bytes = await readBounded(request, largestForm);
  if (bytes === undefined) return invalid(`the form is larger than ${largestForm} bytes`);
  return { parameters: new URLSearchParams(new TextDecoder().decode(bytes)) };
}

function invalid(message: string, error: OAuthError = 'invalid_request'): Refusal {
  return { error, problem: { code: 'UNSUPPORTED', status: 400, message } };
}

function withBasicChallenge(call: Call, problem: Problem): Problem {
  if (problem.code !== 'UNAUTHORIZED') return problem;
  const challenge = basicChallenger.challenge({ need: undefined, origin: () => call.origin(), error: undefined });
  return { ...problem, headers: { ...problem.headers, 'www-authenticate': challenge } };
}

/** An error both as the specification of the registry and as OAuth shape it: clients read the one or the other. */
function refuseToken(call: Call, { error, problem }: Refusal): Response {
  const refused = refuse(call, problem);
  refused.headers.set('cache-control', 'no-store');
  const body = { ...errorsOf(problem), error, error_description: problem.message };
  return new Response(JSON.stringify(body), {
    status: problem.status ?? statusOfCode[problem.code],
    headers: refused.headers,
  });
}

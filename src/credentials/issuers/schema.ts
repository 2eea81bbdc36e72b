import { z } from 'zod';
import { choice, duration } from '../../config/setting-types.ts';
import { bool, group, name, oneOrMore, parsed, value } from '../../retention/document-schema.ts';

/** More than these are a mistake; the bound keeps small what it takes to find the one of a token. */
const mostIssuers = 50;
const hourMs = 3_600_000;

/** Where an issuer's keys are: its discovery document says, or a URL, or a file. */
export type KeysAt =
  | { readonly kind: 'discovery' }
  | { readonly kind: 'url'; readonly url: URL }
  | { readonly kind: 'file'; readonly path: string };

interface Common {
  /** What stands before the names of those whom it vouches for: `github`. */
  readonly name: string;
  /** The `iss` of its tokens. */
  readonly issuer: string;
  readonly keys: KeysAt;
  /** Whether `authenticated` in a rule means those whom it vouches for, too. */
  readonly isAuthenticated: boolean;
}

/** An OpenID Connect issuer, which says who people or workloads are. */
export interface IdentityIssuer extends Common {
  readonly kind: 'user' | 'workload';
  /** One of these is the `aud` of its tokens. */
  readonly audience: readonly string[];
  /** The claim that holds the name. */
  readonly nameFrom: string;
  /** The claim that holds the groups. */
  readonly groupsFrom: string | undefined;
  /** The claims that are kept; all where it is undefined. */
  readonly claims: readonly string[] | undefined;
  /** How long a person whom it has vouched for may go on with refresh tokens, in ms; 0: not at all. */
  readonly sessionMs: number;
}

/** A token service that issues distribution's tokens for this registry. */
export interface ServiceIssuer extends Common {
  readonly kind: 'tokens';
  /** Where clients get tokens. */
  readonly realm: string;
  /** What the service calls this registry: the `aud` of its tokens. */
  readonly service: string;
}

export type IssuerDefinition = IdentityIssuer | ServiceIssuer;

/** What stands before names in other places, and would make `user:alice` mean two things. */
const reserved = new Set(['anonymous', 'user', 'robot', 'workload', 'certificate', 'group', 'operator', 'oidc']);

const issuerName = parsed('a name of lower-case letters, digits and dashes', (text) => {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(text)) {
    return { ok: false, problem: 'a name has from 1 to 32 lower-case letters, digits and dashes' };
  }
  return reserved.has(text)
    ? { ok: false, problem: 'this word means something else here' }
    : { ok: true, result: text };
});

const someText = parsed('a text', (text) =>
  text === '' || text.length > 1000
    ? { ok: false, problem: 'it has from 1 to 1000 characters' }
    : { ok: true, result: text },
);

const secureUrl = parsed('an https:// URL', (text) => {
  const problem = problemOfUrl(text);
  return problem === undefined ? { ok: true, result: text } : { ok: false, problem };
});

const keys = parsed<KeysAt>('discovery, an https:// URL, or the path of a file', (text) => {
  if (text === 'discovery') return { ok: true, result: { kind: 'discovery' } };
  if (!text.includes('://')) {
    return text === '' ? { ok: false, problem: 'this is empty' } : { ok: true, result: { kind: 'file', path: text } };
  }
  const problem = problemOfUrl(text);
  if (problem !== undefined) return { ok: false, problem };
  return { ok: true, result: { kind: 'url', url: new URL(text) } };
});

const discovery: KeysAt = { kind: 'discovery' };

const kinds = ['user', 'workload', 'tokens'] as const;

const shape = {
  name: issuerName,
  kind: value(choice([...kinds])),
  issuer: someText,
  keys: keys.optional(),
  authenticated: bool.optional(),
  audience: oneOrMore(someText).optional(),
  nameFrom: name.optional(),
  groupsFrom: name.optional(),
  claims: oneOrMore(name).optional(),
  session: value(duration({ minMs: 60_000, maxMs: 365 * 24 * hourMs, zeroMeans: 'no refresh tokens' })).optional(),
  realm: secureUrl.optional(),
  service: someText.optional(),
};

const ofIdentities = ['audience', 'nameFrom', 'groupsFrom', 'claims', 'session'] as const;
const ofServices = ['realm', 'service'] as const;

const issuer = group(shape).transform((given, context): IssuerDefinition => {
  const problem = (key: string, message: string): void => {
    context.addIssue({ code: 'custom', path: [key], message });
  };
  const { name: called, kind, issuer: iss, authenticated: isAuthenticated = false } = given;
  const foreign = kind === 'tokens' ? ofIdentities : ofServices;
  for (const key of foreign) if (given[key] !== undefined) problem(key, `is not for an issuer of the kind ${kind}`);
  if (kind === 'tokens') {
    const { realm, service, keys: at } = given;
    if (realm === undefined) problem('realm', 'is missing. It takes the URL where clients get tokens.');
    if (service === undefined) problem('service', 'is missing. It takes what the token service calls this registry.');
    if (at === undefined || at.kind === 'discovery') {
      problem(
        'keys',
        'is missing. It takes an https:// URL of a JWKS, or the path of a file with a JWKS or certificates.',
      );
    }
    return {
      kind,
      name: called,
      issuer: iss,
      keys: at ?? discovery,
      isAuthenticated,
      realm: realm ?? '',
      service: service ?? '',
    };
  }
  if (given.audience === undefined) {
    problem('audience', 'is missing. It takes what tokens for this registry have as their audience.');
  }
  const keysAt = given.keys ?? discovery;
  const unsafe = keysAt.kind === 'discovery' ? problemOfUrl(iss) : undefined;
  if (unsafe !== undefined) problem('issuer', `cannot be asked for its keys: ${unsafe}`);
  if (kind === 'workload' && (given.session ?? 0) > 0)
    problem('session', 'is for people: a workload brings a new token');
  return {
    kind,
    name: called,
    issuer: iss,
    keys: keysAt,
    isAuthenticated,
    audience: given.audience ?? [],
    nameFrom: given.nameFrom ?? 'sub',
    groupsFrom: given.groupsFrom,
    claims: given.claims,
    sessionMs: kind === 'user' ? (given.session ?? 12 * hourMs) : 0,
  };
});

/** What the key `issuers` holds. */
export const issuersSchema: z.ZodType<readonly IssuerDefinition[]> = z
  .array(issuer, { error: 'is a list of issuers' })
  .max(mostIssuers, { error: `has more than ${mostIssuers} issuers` });

/** The names of all that an issuer may have. */
export const issuerKeys: readonly string[] = Object.keys(shape);

/** Undefined for what may be asked: `https:`, or `http:` on this machine. */
export function problemOfUrl(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return 'this is not a URL';
  if (url.username !== '' || url.password !== '') return 'a URL has no user and password here';
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return undefined;
  return 'only https:// is safe (http:// is for this machine alone)';
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

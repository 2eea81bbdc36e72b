import type { JWTPayload } from 'jose';
import type { Identity } from '../../access/identity.ts';
import type { IdentityIssuer } from './schema.ts';

/** Kept claims go into the registry's own tokens, which have to fit into a header. In characters, with their names. */
const mostClaimText = 4096;
const longestName = 500;

/** They are about the token, not about whom it is for. */
const aboutToken = new Set([
  'exp',
  'nbf',
  'iat',
  'jti',
  'aud',
  'nonce',
  'at_hash',
  'c_hash',
  'auth_time',
  'azp',
  'sid',
]);

export type IdentityResult =
  | { readonly ok: true; readonly identity: Identity }
  /** For the log: it may name claims, and quotes none. */
  | { readonly ok: false; readonly reason: string };

/** Who an issuer says that somebody is. Names and groups stand behind the issuer's: two issuers may know an alice each. */
export function identityOf(issuer: IdentityIssuer, payload: JWTPayload): IdentityResult {
  const all = flattened(payload);
  // Some issuers have it as a text.
  const isVerified = all.get('email_verified')?.[0] === 'true';
  const [name] = all.get(issuer.nameFrom) ?? [];
  if (name === undefined || name === '') return { ok: false, reason: `the token has no claim ${issuer.nameFrom}` };
  if (name.length > longestName || /\p{Cc}/u.test(name)) {
    return { ok: false, reason: `the claim ${issuer.nameFrom} cannot be a name` };
  }
  if (issuer.nameFrom === 'email' && !isVerified) {
    return { ok: false, reason: 'the token does not say that the e-mail address is verified (email_verified)' };
  }
  const groups = issuer.groupsFrom === undefined ? [] : (all.get(issuer.groupsFrom) ?? []);
  // What somebody has only said of themselves is nothing for a rule to go by.
  const isDisowned = all.get('email_verified')?.[0] === 'false';
  const kept = [...all].filter(([claim]) => isKept(issuer, claim) && !(isDisowned && claim === 'email'));
  const textLength = kept.reduce((sum, [claim, values]) => sum + claim.length + values.join('').length, 0);
  if (textLength + groups.join('').length > mostClaimText) {
    return {
      ok: false,
      reason: `the token says more than ${mostClaimText} characters: list the claims that rules need under "claims" of the issuer ${issuer.name}`,
    };
  }
  return {
    ok: true,
    identity: {
      kind: issuer.kind,
      name: `${issuer.name}:${name}`,
      groups: groups.map((group) => `${issuer.name}:${group}`),
      claims: Object.fromEntries(kept),
      issuer: issuer.name,
    },
  };
}

function isKept({ claims }: IdentityIssuer, claim: string): boolean {
  if (aboutToken.has(claim)) return false;
  return claims === undefined || claim === 'iss' || claims.includes(claim);
}

/** Each claim with its values as texts; what is inside a claim by its path: `kubernetes.io.namespace`. */
function flattened(payload: JWTPayload): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  visit(payload, '');
  return found;

  function visit(value: unknown, path: string): void {
    if (Array.isArray(value)) {
      found.set(
        path,
        value.flatMap((item) => textOf(item) ?? []),
      );
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) visit(inner, path === '' ? key : `${path}.${key}`);
    } else {
      const text = textOf(value);
      if (text !== undefined) found.set(path, [text]);
    }
  }
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

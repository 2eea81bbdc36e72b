import { anonymous, type Identity, operator } from './identity.ts';

export type WhoResult =
  { readonly ok: true; readonly identity: Identity } | { readonly ok: false; readonly problem: string };

/** How whoever asks is written on a command line: `user:alice`, `robot:ci`, `anonymous`. */
export const accepted =
  'user:NAME, robot:NAME, workload:NAME, certificate:NAME, anonymous, or operator (whoever knows the token of the run)';

/** Whoever an issuer vouches for has its name before their own; nobody of the password file has a colon in theirs. */
function issuerOf(kind: Identity['kind'], name: string): Pick<Identity, 'issuer'> {
  const colon = name.indexOf(':');
  return (kind === 'user' || kind === 'workload') && colon > 0 ? { issuer: name.slice(0, colon) } : {};
}

/** Parses whom somebody means. @param given groups and claims of an issuer */
export function parseWho(text: string, given: Pick<Identity, 'groups' | 'claims'>): WhoResult {
  if (text === 'anonymous') return { ok: true, identity: anonymous };
  if (text === 'operator') return { ok: true, identity: operator };
  const [, kind, name = ''] = /^(user|robot|workload|certificate):(.+)$/s.exec(text) ?? [];
  switch (kind) {
    case 'user':
    case 'robot':
    case 'workload':
    case 'certificate':
      return { ok: true, identity: { kind, name, ...given, ...issuerOf(kind, name) } };
    default:
      return { ok: false, problem: `cannot be ${JSON.stringify(text)}: it is ${accepted}` };
  }
}

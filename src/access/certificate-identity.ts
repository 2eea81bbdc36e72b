import type { Identity } from './identity.ts';

/** What rules can ask of a certificate, under `claims`. */
export const certificateClaims = ['uri', 'dns', 'email', 'issuer', 'sha256'] as const;

/** What a client certificate says, as node:tls gives it. It was verified: signed by an authority, and in its time. */
export interface ShownCertificate {
  readonly subject: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly issuer: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** `DNS:host.example, URI:spiffe://example/ns/ci`; values with special characters are quoted. */
  readonly subjectaltname?: string | undefined;
  readonly fingerprint256: string;
}

/** No issuer is called so, and no configured group has a colon in its name. */
const certificateGroupPrefix = 'certificate:';

/** No name is longer, and none has characters that cannot be seen: names are logged and stand in policies. */
const namePattern = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,256}$/u;

/**
 * Whom a certificate names: its subject's common name, where there is just one; else the first URI, then the first DNS
 * name, then the first e-mail address of its alternative names. The subject's organisations (O) are the groups, `certificate:staff`, and its
 * alternative names, its issuer's common name and its fingerprint are claims. Undefined where it names nobody.
 */
export function identityOfCertificate(certificate: ShownCertificate): Identity | undefined {
  const { subject, issuer, subjectaltname = '', fingerprint256 } = certificate;
  const names = alternativeNames(subjectaltname);
  const ofKind = (kind: string): readonly string[] => names.filter((one) => one.kind === kind).map(({ name }) => name);
  const [uri, dns, email] = [ofKind('URI'), ofKind('DNS'), ofKind('email')];
  const commonNames = valuesOf(subject['CN']);
  // Which of several the signer has looked at, nobody knows.
  const name =
    commonNames.length > 0 ? (commonNames.length === 1 ? commonNames[0] : undefined) : (uri[0] ?? dns[0] ?? email[0]);
  if (name === undefined || !namePattern.test(name)) return undefined;
  return {
    kind: 'certificate',
    name,
    groups: valuesOf(subject['O'])
      .filter((group) => namePattern.test(group))
      .map((group) => certificateGroupPrefix + group),
    claims: {
      uri,
      dns,
      email,
      issuer: valuesOf(issuer['CN']).filter((each) => namePattern.test(each)),
      sha256: [fingerprint256.replaceAll(':', '').toLowerCase()],
    },
  };
}

function valuesOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/** What is quoted is left out: it holds characters that could make one name look like two. */
function alternativeNames(text: string): readonly { readonly kind: string; readonly name: string }[] {
  if (text.includes('"')) return [];
  return text.split(', ').flatMap((each) => {
    const at = each.indexOf(':');
    const [kind, name] = [each.slice(0, at), each.slice(at + 1)];
    return at > 0 && namePattern.test(name) ? [{ kind, name }] : [];
  });
}

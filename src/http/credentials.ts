import type { Credentials } from '../access/authenticator.ts';

/** Longer than any password or token is, in characters; the runtime bounds all headers together. */
const longestCredentials = 16 * 1024;

/**
 * What the header `Authorization` brings (RFC 7617, RFC 6750); undefined where there is none, or no name and no password
 * in it, as some clients send where they have neither.
 */
export function credentialsOf(request: Request): Credentials | 'malformed' | undefined {
  const header = request.headers.get('authorization');
  if (header === null || header === '') return undefined;
  const [, scheme = '', text = ''] = /^(\S+) +(\S+)\s*$/.exec(header) ?? [];
  if (text.length > longestCredentials) return 'malformed';
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return { scheme: 'bearer', token: text };
    case 'basic':
      return basicOf(text);
    default:
      return 'malformed';
  }
}

function basicOf(text: string): Credentials | 'malformed' | undefined {
  if (!/^[A-Za-z0-9+/_-]+=*$/.test(text)) return 'malformed';
  let decoded: string;
  try {
    decoded = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(text, 'base64'));
  } catch {
    return 'malformed';
  }
  const colon = decoded.indexOf(':');
  if (colon === -1) return 'malformed';
  const [name, secret] = [decoded.slice(0, colon), decoded.slice(colon + 1)];
  return name === '' && secret === '' ? undefined : { scheme: 'basic', name, secret };
}

import { decodeJwt } from 'jose';

/** What a token says is cut off here, in characters. */
const longestShown = 200;

/**
 * Whom a token names, for the log of those who were refused: nothing of it is proven. Undefined where it names nobody, or
 * is none.
 */
export function claimedHolder(token: string): string | undefined {
  try {
    const { iss, sub } = decodeJwt(token);
    const shown = [iss, sub].filter((part) => typeof part === 'string').join(' ');
    return shown === '' ? undefined : shown.slice(0, longestShown);
  } catch {
    return undefined;
  }
}

import { quote } from '../oci/quote.ts';

/** The bcrypt hash of each user's password, by name. */
export type PasswordHashes = ReadonlyMap<string, string>;

export type HtpasswdResult =
  | { readonly ok: true; readonly hashes: PasswordHashes }
  | {
      readonly ok: false;
      /** Each a line for a person. No hash is in them. */
      readonly problems: readonly string[];
    };

/** Every look at a password takes twice as long with each more: beyond this a login would take seconds. */
const highestCost = 15;

const longestName = 200;

/** The last characters of salt and hash hold less than six bits, so that not every one can stand there. */
const bcrypt = /^\$2[aby]\$(?<cost>\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]$/;

/**
 * Parses a password file as `htpasswd -B` writes it: `name:hash` on each line, with empty lines and lines that begin with
 * `#` between them. Everything that is wrong is reported.
 *
 * @param path for the problems
 */
export function parseHtpasswd(text: string, path: string): HtpasswdResult {
  const hashes = new Map<string, string>();
  const problems: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const problem = addLine(hashes, line.trimEnd());
    if (problem !== undefined) problems.push(`${path}:${index + 1}: ${problem}`);
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, hashes };
}

function addLine(hashes: Map<string, string>, line: string): string | undefined {
  const colon = line.indexOf(':');
  if (colon < 1) return 'this is not NAME:HASH, as htpasswd -B and wherry auth hash write it';
  const name = line.slice(0, colon);
  const hash = line.slice(colon + 1);
  if (name.length > longestName) return `this name is longer than ${longestName} characters`;
  if (hashes.has(name)) return `the user ${quote(name)} stands in it a second time: remove one of the lines`;
  const cost = bcrypt.exec(hash)?.groups?.['cost'];
  const advice = `write it anew with htpasswd -B or wherry auth hash ${name}`;
  if (cost === undefined) return `the hash of the user ${quote(name)} is not bcrypt ($2y$…): ${advice}`;
  if (Number(cost) < 4 || Number(cost) > highestCost) {
    return `the hash of the user ${quote(name)} has a cost of ${Number(cost)}, and 4 to ${highestCost} are possible: ${advice}`;
  }
  hashes.set(name, hash);
  return undefined;
}

/** How much a bcrypt hash takes to compare with: each more is twice as long. */
export function costOf(hash: string): number {
  return Number(bcrypt.exec(hash)?.groups?.['cost'] ?? '10');
}

import { isIP } from 'node:net';
import { quote } from '../oci/quote.ts';
import type { Problem } from './errors.ts';

/** By which names a registry may be asked where nobody has to log in. */
export interface HostRules {
  /** Names beside those that lead nowhere but to this machine; `any`: all names, but not for the admin API. */
  readonly names: readonly string[] | 'any';
  /** What is checked: nothing where one has to log in, as a page does not know how. */
  readonly checks: 'nothing' | 'admin' | 'everything';
}

export const anyHost: HostRules = { names: 'any', checks: 'nothing' };

/** Names under these are given out by nobody: they mean this machine, or are made by who runs it (RFC 6761, ICANN 2024). */
const localDomains = ['localhost', 'internal'];

/** A name in another writing may have dots in it that do not look like ours. */
const isAscii = /^[ -~]*$/;
const isHostName = /^[a-z0-9._-]+$/;

/** Answers of the last names that were asked for. */
const mostRemembered = 100;

const longestShown = 100;

/**
 * Looks at the header `Host` where nobody has to log in. A page in somebody's browser can have its own name lead to this
 * machine (DNS rebinding), and then reads what is answered as if it were its own; but the browser goes on to send that
 * name. A name without a dot, an address, and those of this machine cannot be a page's from elsewhere.
 */
export class HostCheck {
  readonly #rules: HostRules;
  readonly #names: ReadonlySet<string>;
  readonly #remembered = new Map<string, boolean>();

  constructor(rules: HostRules) {
    this.#rules = rules;
    this.#names = new Set(rules.names === 'any' ? [] : rules.names.map((name) => nameIn(name)));
  }

  /** Undefined where a request may go on. @param host the header; null where a client sends none, as no browser does */
  problemOf(host: string | null, isAdmin: boolean): Problem | undefined {
    const { checks, names } = this.#rules;
    if (checks === 'nothing' || host === null || (!isAdmin && (checks === 'admin' || names === 'any')))
      return undefined;
    let isAllowed = this.#remembered.get(host);
    if (isAllowed === undefined) {
      isAllowed = this.#isAllowed(nameIn(host));
      if (this.#remembered.size >= mostRemembered) this.#remembered.clear();
      this.#remembered.set(host, isAllowed);
    }
    return isAllowed ? undefined : unknownHost(host);
  }

  #isAllowed(name: string): boolean {
    if (this.#names.has(name) || isIP(name) !== 0) return true;
    if (!name.includes('.')) return isAscii.test(name);
    return isHostName.test(name) && localDomains.some((domain) => name.endsWith(`.${domain}`));
  }
}

/** Without port, brackets and a last dot, in small letters. */
function nameIn(host: string): string {
  const [, inBrackets] = /^\[([^\]]*)\](?::\d*)?$/.exec(host) ?? [];
  if (inBrackets !== undefined) return inBrackets;
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}

function unknownHost(host: string): Problem {
  const shown = host.slice(0, longestShown);
  return {
    code: 'DENIED',
    message: `the registry does not answer to the name ${quote(shown)} where nobody has to log in, as any page in a browser could have a name lead here: add it to http.hosts, or have users log in`,
    detail: { host: shown, setting: 'http.hosts' },
  };
}

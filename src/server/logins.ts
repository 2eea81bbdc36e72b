import { AccessControl, type AccessControlParts } from '../access/access-control.ts';
import type { Action } from '../access/action.ts';
import type { Authenticator } from '../access/authenticator.ts';
import { FailedLogins, loginNews } from '../access/failed-logins.ts';
import { noRules, ruleForEverybody } from '../access/parse.ts';
import { PasswordAuthenticator } from '../access/password-authenticator.ts';
import { PasswordFile } from '../access/password-file.ts';
import { AccessPolicy } from '../access/policy.ts';
import { RememberedLogins } from '../access/remembered-logins.ts';
import type { AccessRules } from '../access/rule.ts';
import type { Config } from '../config/schema.ts';
import type { IssuerSet } from '../credentials/issuers/issuer-set.ts';
import { formatListenAddress, type ListenAddress } from '../config/listen-address.ts';
import type { HostRules } from '../http/host-check.ts';
import type { Log } from '../log/log.ts';
import type { Clock } from '../registry/clock.ts';
import { noSiblings, type Siblings } from '../registry/siblings.ts';
import { StartupError } from '../startup-error.ts';

/** Who can log in, and what they may do, as it is configured. */
export interface Logins {
  readonly policy: AccessPolicy;
  readonly isOpen: boolean;
  /** Whether there is anybody whom a client could log in as, or show a certificate of. */
  readonly canLogIn: boolean;
  /** What may be asked for by any name: nobody is asked who they are, so that a page in a browser might be led here. */
  readonly checkedHosts: HostRules['checks'];
  readonly authenticators: readonly Authenticator[];
  /** The users; undefined where there is no password file. */
  readonly passwords: PasswordFile | undefined;
  readonly failedLogins: FailedLogins;
}

export interface LoginParts {
  readonly config: Pick<Config, 'auth' | 'tls'>;
  readonly log: Log;
  readonly clock: Clock;
  /** Undefined where the configuration has none. */
  readonly rules: AccessRules | undefined;
  /** Who is believed who somebody is; undefined where nobody is. */
  readonly issuers?: IssuerSet | undefined;
  /** Where others than this machine can reach the registry; undefined where none can. */
  readonly exposed: ListenAddress | undefined;
  /** Other processes that clients come to by turns: who guesses passwords is slowed down by all of them together. */
  readonly siblings?: Siblings | undefined;
}

/** What everybody may do by `auth.anonymous`. */
export const forEverybody: Readonly<Record<Config['auth']['anonymous'], readonly Action[]>> = {
  none: [],
  pull: ['pull'],
  all: ['pull', 'push', 'tag-overwrite', 'delete'],
};

/**
 * Reads who can log in.
 * @throws StartupError where that cannot be read, or where everybody who reaches the registry could do everything without
 *   anybody having said so
 */
export async function openLogins({
  config,
  log,
  clock,
  rules,
  issuers,
  exposed,
  siblings = noSiblings,
}: LoginParts): Promise<Logins> {
  const { htpasswd, anonymous } = config.auth;
  const now = (): number => clock.monotonic();
  const authenticators: Authenticator[] = [];
  let passwords: PasswordFile | undefined;
  if (htpasswd !== undefined) {
    const opened = await PasswordFile.open({ path: htpasswd, log, now });
    if (!opened.ok) throw new StartupError(['the users cannot be read:', ...opened.problems].join('\n  '));
    passwords = opened.passwords;
    // Last, as it has an answer to every name.
    const remembered = new RememberedLogins(now);
    const refused = new RememberedLogins<'refused'>(now);
    authenticators.push(new PasswordAuthenticator({ passwords, remembered, refused }));
  }
  const canLogIn = authenticators.length > 0 || issuers !== undefined || config.tls.clientCertificates !== 'none';
  const isConfigured = canLogIn || rules !== undefined;
  if (!isConfigured && anonymous === 'none' && exposed !== undefined) {
    throw new StartupError(
      `whoever reaches ${formatListenAddress(exposed)} could push and delete everything, as nobody can log in: name a file of users with --auth-htpasswd FILE and say under access in the configuration what they may do, or let everybody do everything with --anonymous, or listen on 127.0.0.1 only`,
    );
  }
  const policy = policyOf(config, rules, issuers?.vouching);
  if (canLogIn && policy.rules.length === 0) {
    log.warn({}, 'users can log in, but no access rule allows anybody anything: add some under access');
  }
  return {
    policy,
    canLogIn,
    isOpen: !isConfigured && anonymous !== 'pull',
    checkedHosts: isConfigured ? 'nothing' : exposed === undefined ? 'everything' : 'admin',
    authenticators,
    passwords,
    failedLogins: sharedFailedLogins(now, siblings),
  };
}

function sharedFailedLogins(now: () => number, siblings: Siblings): FailedLogins {
  const failed = new FailedLogins(now, (news) => siblings.tell('login', news));
  siblings.hear('login', (news) => Promise.resolve(failed.hear(loginNews.parse(news))));
  return failed;
}

/**
 * The rules of a configuration, and before them what is for everybody.
 *
 * @param vouching the issuers whose people and workloads `authenticated` means too
 */
export function policyOf(
  { auth }: Pick<Config, 'auth'>,
  { rules, groups }: AccessRules = noRules,
  vouching?: ReadonlySet<string>,
): AccessPolicy {
  const open = forEverybody[auth.anonymous];
  const ofEverybody = open.length === 0 ? [] : [ruleForEverybody(`auth.anonymous: ${auth.anonymous}`, open)];
  return new AccessPolicy({ rules: [...ofEverybody, ...rules], groups }, vouching);
}

/** @param parts.authenticators those that are asked before the password file, which has an answer to every name */
export function accessControlOf(
  logins: Logins,
  {
    authenticators,
    ...parts
  }: Pick<AccessControlParts, 'operatorToken' | 'secret' | 'onRefused' | 'challenger' | 'authenticators'>,
): AccessControl {
  return new AccessControl({ ...logins, ...parts, authenticators: [...authenticators, ...logins.authenticators] });
}

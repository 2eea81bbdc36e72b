import type { Accounts } from '../credentials/account.ts';
import type { PasswordHashes } from '../access/htpasswd.ts';
import { endLoginsOfGone, goneFrom } from '../credentials/ended-logins.ts';
import type { Authenticator } from '../access/authenticator.ts';
import { basicChallenger, type Challenger } from '../access/challenger.ts';
import { IssuerSet } from '../credentials/issuers/issuer-set.ts';
import { TrustedIssuers } from '../credentials/issuers/trusted-issuers.ts';
import type { PasswordFile } from '../access/password-file.ts';
import type { AccessPolicy } from '../access/policy.ts';
import { RobotAuthenticator } from '../credentials/robot-authenticator.ts';
import { BearerChallenger } from '../credentials/tokens/bearer-challenger.ts';
import { Holders } from '../credentials/tokens/holders.ts';
import { RefreshTokens } from '../credentials/tokens/refresh-tokens.ts';
import { RegistryTokens } from '../credentials/tokens/registry-tokens.ts';
import { SigningKeys } from '../credentials/tokens/signing-keys.ts';
import { TokenAuthenticator } from '../credentials/tokens/token-authenticator.ts';
import { TokenService } from '../credentials/tokens/token-service.ts';
import { UserAccounts } from '../credentials/user-accounts.ts';
import type { Config } from '../config/schema.ts';
import { tokenPath } from '../http/token.ts';
import type { Log } from '../log/log.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Clock } from '../registry/clock.ts';
import { StartupError } from '../startup-error.ts';

export interface TokenParts {
  readonly config: Pick<Config, 'auth'>;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Who may do what, as it is when it is asked. */
  readonly policy: () => AccessPolicy;
  /** The users; undefined where there is no password file. */
  readonly passwords: PasswordFile | undefined;
  /** Whose tokens are believed; undefined where nobody's are but the registry's own. */
  readonly issuers?: IssuerSet | undefined;
}

/** Who can log in beside the users of a password file, and how clients are told to. */
export interface Tokens {
  /** To be asked before the password file, which has an answer to every name. */
  readonly authenticators: readonly Authenticator[];
  readonly challenger: Challenger;
  /** Undefined where the registry gives no tokens itself. */
  readonly service: TokenService | undefined;
  /** Ends the refresh tokens of users whom nobody knows any more. @param users of the password file */
  endLoginsOfGone(users: PasswordHashes | undefined): Promise<void>;
}

/** @throws StartupError where an outside issuer calls itself what the registry does */
export function openTokens(parts: TokenParts): Tokens {
  const { config, metadata, clock, log, policy, passwords, issuers = IssuerSet.none } = parts;
  const { service, realm, isServed, lifeMs, rotationMs, refreshLifeMs } = config.auth.tokens;
  if (issuers.issuers.some(({ issuer }) => issuer === service)) {
    throw new StartupError(
      `an issuer of the configuration is called ${JSON.stringify(service)}, as this registry calls itself in its own tokens: give it another name with auth.tokens.service`,
    );
  }
  const robots = new RobotAuthenticator({ metadata, clock, log });
  const trusted = new TrustedIssuers(issuers, clock);
  const end = async (users: PasswordHashes | undefined): Promise<void> =>
    await endLoginsOfGone({ metadata, clock }, goneFrom(trusted, users));
  const outside = issuers.service;
  const others = [trusted, robots];
  if (outside !== undefined) {
    const challenger = new BearerChallenger({ realm: () => outside.realm, service: outside.service });
    return { authenticators: others, challenger, service: undefined, endLoginsOfGone: end };
  }
  if (!isServed)
    return { authenticators: others, challenger: basicChallenger, service: undefined, endLoginsOfGone: end };
  const accounts: readonly Accounts[] = passwords === undefined ? [robots] : [robots, new UserAccounts(passwords)];
  const holders = new Holders(accounts, trusted);
  const keys = new SigningKeys({ metadata, clock, rotationMs, tokenLifeMs: lifeMs });
  const tokens = new RegistryTokens({ keys, clock, service, lifeMs });
  return {
    authenticators: [new TokenAuthenticator(tokens, holders), ...others],
    challenger: new BearerChallenger({ realm: (origin) => realm ?? origin() + tokenPath, service }),
    service: new TokenService({
      tokens,
      holders,
      refreshTokens: new RefreshTokens({ metadata, clock }),
      may: (identity, action, repo) => policy().rightsOf(identity).may(action, repo),
      refreshLifeMs,
      sessionMsOf: (issuer) => trusted.sessionMsOf(issuer),
    }),
    endLoginsOfGone: end,
  };
}

/** Ends the logins of users who are not there any more, now and whenever the users change. Where that fails, it is logged. */
export async function followUsers(
  tokens: Pick<Tokens, 'endLoginsOfGone'>,
  passwords: PasswordFile | undefined,
  log: Log,
): Promise<void> {
  const end = async (users: PasswordHashes | undefined): Promise<void> => {
    try {
      await tokens.endLoginsOfGone(users);
    } catch (error) {
      log.warn({ err: error }, 'the logins of users who are not there any more could not be ended');
    }
  };
  await end(passwords?.current);
  passwords?.watch(end);
}

import type { AccessControl } from '../access/access-control.ts';
import { type AccessSource, AccessWatch } from '../access/access-watch.ts';
import type { AccessRules } from '../access/rule.ts';
import { ruleChangesText } from '../audit/rule-changes.ts';
import { type ConfiguredRules, type PuttingInForce, putRulesInForce } from '../audit/rules-in-force.ts';
import type { Config } from '../config/schema.ts';
import type { IssuerSet } from '../credentials/issuers/issuer-set.ts';
import type { Log } from '../log/log.ts';
import { type Logins, policyOf } from './logins.ts';
import { MetadataFullError, type MetadataStore } from '../metadata/store.ts';
import { configurationActor } from '../registry/actor.ts';
import type { Clock } from '../registry/clock.ts';

/** Who may do what by a configuration, and how it stands there. */
export interface ConfiguredAccess {
  /** Undefined where nobody has said. */
  readonly rules: AccessRules | undefined;
  /** `access` and `groups`. */
  readonly configured: readonly ConfiguredRules[];
}

/** On a full disk it goes on all the same: then the next start compares with older rules. */
export async function rememberRules(
  metadata: MetadataStore,
  rules: readonly ConfiguredRules[],
  putting: PuttingInForce,
  log: Log,
): Promise<void> {
  try {
    await putRulesInForce(metadata, rules, putting);
  } catch (error) {
    if (!(error instanceof MetadataFullError)) throw error;
    log.warn({ err: error }, 'the disk is full: it could not be written down which rules are in force');
  }
}

interface AccessAdopterParts {
  readonly config: Config;
  readonly access: AccessControl;
  readonly logins: Logins;
  readonly issuers: IssuerSet | undefined;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly log: Log;
  /** All that are in force. */
  readonly rules: readonly ConfiguredRules[];
  readonly startRules: AccessRules | undefined;
}

/** What has other access rules decide while the server runs. What is open to everybody stays as it was at the start. */
function accessAdopter(parts: AccessAdopterParts): (read: ConfiguredAccess) => Promise<string | undefined> {
  const { config, access, logins, issuers, metadata, clock, log, startRules } = parts;
  let inForce = parts.rules;
  return async ({ rules, configured }) => {
    if (!logins.canLogIn && (rules === undefined) !== (startRules === undefined)) {
      return rules === undefined
        ? 'without access rules everything would be open to everybody: that takes a restart'
        : 'there were no access rules at the start, and everything is open to everybody: to change that takes a restart';
    }
    const before = new Map(inForce.map(({ name, value }) => [name, value]));
    const changed = configured.filter(({ name, value }) => JSON.stringify(value) !== JSON.stringify(before.get(name)));
    if (changed.length === 0) return undefined;
    access.adopt(policyOf(config, rules, issuers?.vouching));
    inForce = [...inForce.filter(({ name }) => !configured.some((one) => one.name === name)), ...configured];
    const after = new Map(configured.map(({ name, value }) => [name, value]));
    const changesOf = (name: string): string => ruleChangesText(before.get(name), after.get(name));
    const putting = { now: clock.now(), actor: configurationActor, when: 'while it was served', changesOf };
    log.info({ changed: changed.map(({ name }) => name) }, 'other access rules decide from now on');
    await rememberRules(metadata, inForce, putting, log);
    return undefined;
  };
}

/** Has other access rules decide from now on when they change where they stand; undefined where they stand in no file. */
export function watchAccess(
  source: AccessSource<ConfiguredAccess> | undefined,
  parts: AccessAdopterParts,
): AccessWatch<ConfiguredAccess> | undefined {
  if (source === undefined) return undefined;
  const watch = new AccessWatch({ source, log: parts.log, adopt: accessAdopter(parts) });
  watch.start();
  return watch;
}

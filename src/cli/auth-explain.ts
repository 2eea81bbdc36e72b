import { Option } from 'commander';
import { actions, actionsOfAll, type Action } from '../access/action.ts';
import { type Identity, identityText } from '../access/identity.ts';
import type { AccessPolicy } from '../access/policy.ts';
import { openRights } from '../access/rights.ts';
import type { AccessRule } from '../access/rule.ts';
import { accepted, parseWho } from '../access/who-text.ts';
import { suggestion } from '../config/nearest.ts';
import { policyOf } from '../server/logins.ts';
import { describeRepositoryNameProblem, parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import { addConfigFlag, type AuthConfig, readAuthConfig } from './auth-config.ts';
import type { CommandDefinition } from './command-definition.ts';
import { exitCodes } from './exit-codes.ts';

interface ExplainFlags {
  readonly config?: string;
  readonly group: readonly string[];
  readonly claim: readonly string[];
  readonly json: boolean;
}

/** `wherry auth explain WHO ACTION REPO`: what decides whether somebody may do something. */
export const defineAuthExplain: CommandDefinition = (command, end) => {
  addConfigFlag(
    command
      .description('say whether somebody may do something in a repository, and which rule decides')
      .argument('<who>', accepted)
      .argument('<action>', actions.join(', '))
      .argument('<repo>', 'a repository, there or not'),
  )
    .addOption(
      listOption(
        '--group <name>',
        'a group that an issuer or a certificate says it is in, such as corp:staff; may be given several times',
      ),
    )
    .addOption(listOption('--claim <name=value>', 'what an issuer says of it; may be given several times'))
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nIt ends with 0 where it is allowed, with 1 where it is not.')
    .action(async (who: string, action: string, repo: string, flags: ExplainFlags) =>
      end(await explain({ who, action, repo }, flags)),
    );
};

function listOption(flags: string, description: string): Option {
  return new Option(flags, description)
    .default([], 'none')
    .argParser<readonly string[]>((value, earlier) => [...earlier, value]);
}

interface Question {
  readonly identity: Identity;
  readonly action: Action;
  readonly repo: RepositoryName;
}

async function explain(
  given: { readonly who: string; readonly action: string; readonly repo: string },
  flags: ExplainFlags,
): Promise<number> {
  const question = questionOf(given, flags);
  const loaded = await readAuthConfig(flags.config);
  const problems = [...('problems' in question ? question.problems : []), ...(loaded.ok ? [] : loaded.problems)];
  if ('problems' in question || !loaded.ok) {
    console.error(['wherry cannot say that:', ...problems].join('\n  '));
    return exitCodes.usage;
  }
  const decided = decide(question, loaded.auth);
  console.log(flags.json ? JSON.stringify(decided, undefined, 2) : textOf(decided));
  return decided.allowed ? exitCodes.success : exitCodes.failure;
}

function questionOf(
  { who, action: actionText, repo: repoText }: { who: string; action: string; repo: string },
  { group, claim }: ExplainFlags,
): Question | { readonly problems: readonly string[] } {
  const claims = claimsOf(claim);
  const parsed = parseWho(who, { groups: group, claims: claims ?? {} });
  const action = actions.find((one) => one === actionText);
  const repo = parseRepositoryName(repoText);
  const problems = [
    ...(parsed.ok ? [] : [`WHO ${parsed.problem}`]),
    ...(action === undefined
      ? [`ACTION is one of ${actions.join(', ')}, not ${JSON.stringify(actionText)}${suggestion(actionText, actions)}`]
      : []),
    ...(repo === undefined ? [describeRepositoryNameProblem(repoText)] : []),
    ...group
      .filter((one) => !one.includes(':'))
      .map((one) => `--group takes what an issuer or a certificate says, such as corp:${one} or certificate:${one}`),
    ...(claims === undefined ? ['--claim takes NAME=VALUE'] : []),
  ];
  if (!parsed.ok || action === undefined || repo === undefined || claims === undefined || problems.length > 0) {
    return { problems };
  }
  return { identity: parsed.identity, action, repo };
}

function claimsOf(texts: readonly string[]): Readonly<Record<string, readonly string[]>> | undefined {
  const claims = new Map<string, string[]>();
  for (const text of texts) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined) return undefined;
    claims.set(name, [...(claims.get(name) ?? []), value]);
  }
  return Object.fromEntries(claims);
}

/** A rule, and what of it fits the question. */
interface LookedAt {
  readonly rule: string;
  /** Where it stands in the file; undefined for what is there by a setting. */
  readonly where: string | undefined;
  readonly isForWho: boolean;
  readonly hasAction: boolean;
  readonly hasRepository: boolean;
}

interface Decided {
  readonly who: string;
  readonly groups: readonly string[];
  readonly action: Action;
  readonly repository: RepositoryName;
  readonly allowed: boolean;
  /** The first rule that allows it; null where none does, or none is needed. */
  readonly rule: string | null;
  readonly where: string | null;
  readonly reason: string;
  readonly rules: readonly LookedAt[];
}

function decide(
  { identity, action, repo }: Question,
  { config, rules, issuers, hasRules, access }: AuthConfig,
): Decided {
  const policy = policyOf(config, rules, issuers?.vouching);
  const looked = policy.rules.map((rule): LookedAt => {
    const index = rules.rules.indexOf(rule);
    return {
      rule: rule.name,
      where: index === -1 ? undefined : access?.whereIs([index]),
      isForWho: isFor(rule, identity, policy),
      hasAction: rule.actions.has(action),
      hasRepository: rule.repositories.some((glob) => glob.matches(repo)),
    };
  });
  const decision = policy.decide(identity, action, repo);
  const about = {
    who: identityText(identity),
    groups: [...policy.groupsOf(identity)],
    action,
    repository: repo,
    rules: looked,
  };
  const canLogIn =
    config.auth.htpasswd !== undefined || issuers !== undefined || config.tls.clientCertificates !== 'none';
  const isOpen = !canLogIn && !hasRules && config.auth.anonymous !== 'pull';
  if (identity.kind === 'operator') {
    return {
      ...about,
      allowed: true,
      rule: null,
      where: null,
      reason: 'whoever knows the token of the run may do everything',
    };
  }
  if (isOpen) {
    const allowed = openRights.may(action, repo);
    const reason = allowed
      ? 'nobody has to log in, as there are neither users nor rules'
      : `to ${action} takes the token of the run, where there are neither users nor rules`;
    return { ...about, allowed, rule: null, where: null, reason };
  }
  if (!decision.allowed) return { ...about, allowed: false, rule: null, where: null, reason: 'no rule allows it' };
  const deciding = looked.find(({ isForWho, hasAction, hasRepository }) => isForWho && hasAction && hasRepository);
  const where = deciding?.where ?? null;
  const rule = decision.rule?.name ?? null;
  if (actionsOfAll.includes(action) && !policy.rightsOf(identity).mayEverywhere(action)) {
    const reason = `${rule ?? ''} is not for all repositories, and ${action} takes a rule that is ('**')`;
    return { ...about, allowed: false, rule: null, where, reason };
  }
  return { ...about, allowed: true, rule, where, reason: `${rule ?? ''} allows it` };
}

/** A rule alone, asked for something that it has. */
function isFor(rule: AccessRule, identity: Identity, policy: AccessPolicy): boolean {
  return policy.rulesFor(identity).includes(rule);
}

function textOf({ who, groups, action, repository, allowed, where, reason, rules }: Decided): string {
  const known = groups.length === 0 ? '' : ` (in ${groups.join(', ')})`;
  const place = where === null ? '' : ` (${where})`;
  const answer = `${who}${known} ${allowed ? 'may' : 'may not'} ${action} in ${repository}: ${reason}${place}.`;
  if (allowed) return answer;
  const near = rules.map(({ rule, where: at, isForWho, hasAction, hasRepository }) => {
    const missing = [
      ...(isForWho ? [] : [`is not for ${who}`]),
      ...(hasAction ? [] : [`does not have ${action}`]),
      ...(hasRepository ? [] : [`is not for ${repository}`]),
      ...(isForWho && hasAction && hasRepository ? ['is not for all repositories'] : []),
    ];
    return `  ${rule}${at === undefined ? '' : ` (${at})`} ${missing.join(', ')}`;
  });
  return [answer, ...near].join('\n');
}

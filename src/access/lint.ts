import { quote } from '../oci/quote.ts';
import type { Glob } from '../retention/glob.ts';
import { actions, actionsOfAll } from './action.ts';
import type { AccessRule, AccessRules, Member, Who } from './rule.ts';

/** Something that is allowed to stand there, but is probably not meant so. */
export interface AccessRemark {
  readonly root: 'access' | 'groups';
  /** The keys and indexes that lead to it, below the root. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/**
 * What in some rules never matters.
 *
 * @param users of the password file; undefined where there is none
 * @param services whose tokens say what their holders may do
 */
export function lintAccess(
  { rules, groups }: AccessRules,
  users: ReadonlySet<string> | undefined,
  services: ReadonlySet<string> = new Set(),
): readonly AccessRemark[] {
  return [
    ...rules.flatMap(({ who }, index) => wholeIssuers(who, index, services)),
    ...rules.flatMap((rule, index) => covered(rule, index, rules)),
    ...rules.flatMap(tooNarrow),
    ...rules.flatMap(({ who }, index) => unknownNames(who, index, groups, users)),
    ...[...groups.keys()].flatMap((group) => unusedGroup(group, rules)),
    ...[...groups].flatMap(([group, members]) => unknownMembers(group, members, users)),
  ];
}

/** Where a rule has `all`, what takes all repositories is not asked for by name. */
function tooNarrow({ repositories, actions: allowed }: AccessRule, index: number): readonly AccessRemark[] {
  if (allowed.size === actions.length || repositories.some(({ source }) => source === '**')) return [];
  return actionsOfAll
    .filter((action) => allowed.has(action))
    .map((action) =>
      remark('access', [index, 'actions'], `has ${action}, which matters only in a rule for all repositories ('**')`),
    );
}

/** Everybody can have an account with some issuers. */
function wholeIssuers({ claims }: Who, index: number, services: ReadonlySet<string>): readonly AccessRemark[] {
  const issuers = claims.get('iss') ?? [];
  if (claims.size !== 1 || issuers.every(({ source }) => services.has(source))) return [];
  const message = 'is for everybody whom that issuer vouches for: add a claim that says who is meant';
  return [remark('access', [index, 'who', 'claims'], message)];
}

function unusedGroup(group: string, rules: readonly AccessRule[]): readonly AccessRemark[] {
  const isUsed = rules.some(({ who }) => who.groups.some((glob) => glob.matches(group)));
  return isUsed ? [] : [remark('groups', [group], 'is in no rule')];
}

function unknownMembers(
  group: string,
  members: readonly Member[],
  users: ReadonlySet<string> | undefined,
): readonly AccessRemark[] {
  return members.flatMap(({ kind, name }, index) =>
    kind === 'robot' || users === undefined || users.has(name)
      ? []
      : [remark('groups', [group, index], `is ${quote(name)}, who is not in the password file`)],
  );
}

function covered(rule: AccessRule, index: number, rules: readonly AccessRule[]): readonly AccessRemark[] {
  // Of two that say the same, the later one is too much.
  const other = rules.find((one, at) => one !== rule && covers(one, rule) && (at < index || !covers(rule, one)));
  return other === undefined ? [] : [remark('access', [index], `allows nothing that ${other.name} does not allow too`)];
}

function covers(one: AccessRule, other: AccessRule): boolean {
  return (
    coversWho(one.who, other.who) &&
    [...other.actions].every((action) => one.actions.has(action)) &&
    other.repositories.every((glob) => one.repositories.some((wide) => wide.covers(glob)))
  );
}

function coversWho(one: Who, other: Who): boolean {
  if (one.everybody === 'anonymous') return true;
  if (one.everybody === 'authenticated') return other.everybody === 'authenticated' || isOfRegistry(other);
  if (other.everybody !== undefined) return false;
  return (
    coversNames(one.users, other.users) &&
    coversNames(one.groups, other.groups) &&
    coversAll(one.robots, other.robots) &&
    coversAll(one.certificates, other.certificates) &&
    (other.claims.size === 0 || coversClaims(one.claims, other.claims))
  );
}

/** Whether none of them can be somebody whom an issuer vouches for. */
function isOfRegistry({ everybody, users, groups, claims }: Who): boolean {
  return (
    everybody === undefined &&
    groups.length === 0 &&
    !claims.has('iss') &&
    users.every(({ start }) => !start.includes(':'))
  );
}

/** A glob means what issuers and certificates say only where it has to the letter whose that is. */
function coversNames(wide: readonly Glob[], narrow: readonly Glob[]): boolean {
  return narrow.every((glob) => wide.some((one) => one.start.length > glob.start.indexOf(':') && one.covers(glob)));
}

/** The fewer claims are asked for, the more have them. */
function coversClaims(one: Who['claims'], other: Who['claims']): boolean {
  return (
    one.size > 0 && [...one].every(([claim, globs]) => coversAll(globs, other.get(claim) ?? []) && other.has(claim))
  );
}

function coversAll(wide: readonly Glob[], narrow: readonly Glob[]): boolean {
  return narrow.every((glob) => wide.some((one) => one.covers(glob)));
}

function unknownNames(
  who: Who,
  index: number,
  groups: AccessRules['groups'],
  users: ReadonlySet<string> | undefined,
): readonly AccessRemark[] {
  const isNone = (glob: Glob, names: Iterable<string>): boolean => ![...names].some((name) => glob.matches(name));
  return [
    ...who.users.flatMap((glob, at) =>
      users !== undefined && !glob.start.includes(':') && isNone(glob, users)
        ? [
            remark(
              'access',
              [index, 'who', 'users', at],
              `is ${quote(glob.source)}: the password file has no such user`,
            ),
          ]
        : [],
    ),
    ...who.groups.flatMap((glob, at) =>
      !glob.start.includes(':') && isNone(glob, groups.keys())
        ? [
            remark(
              'access',
              [index, 'who', 'groups', at],
              `is ${quote(glob.source)}: no such group stands under groups, and those of issuers and certificates have whose they are before them, such as corp:staff`,
            ),
          ]
        : [],
    ),
  ];
}

function remark(root: AccessRemark['root'], path: AccessRemark['path'], message: string): AccessRemark {
  return { root, path, message };
}

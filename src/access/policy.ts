import type { RepositoryName } from '../oci/names.ts';
import { Glob } from '../retention/glob.ts';
import type { Action } from './action.ts';
import type { Grant, Identity } from './identity.ts';
import { allRights, type Rights } from './rights.ts';
import type { AccessRule, AccessRules, Member, Who } from './rule.ts';

/** What decides whether somebody may do something. */
export type Decision =
  /** A rule allows it. */
  | { readonly allowed: true; readonly rule: AccessRule }
  /** Whoever knows the token of the run needs no rule. */
  | { readonly allowed: true; readonly rule: undefined }
  /** A rule allows it, but the token that was shown was issued for less. */
  | { readonly allowed: false; readonly because: 'not-granted'; readonly rule: AccessRule }
  | { readonly allowed: false; readonly because: 'no-rule' };

/** Who may do what: the rules of a configuration, which add up. What none of them allows, nobody may. */
export class AccessPolicy {
  readonly rules: readonly AccessRule[];
  readonly #groupsOf: ReadonlyMap<string, readonly string[]>;
  /** For those who ask again and again, as long as they are remembered elsewhere. */
  readonly #rightsOf = new WeakMap<Identity, Rights>();

  readonly #vouching: ReadonlySet<string>;

  /** @param vouching issuers, by their names, for which the configuration says that `authenticated` means theirs too */
  constructor({ rules, groups }: AccessRules, vouching: ReadonlySet<string> = new Set()) {
    this.rules = rules;
    this.#vouching = vouching;
    const groupsOf = new Map<string, string[]>();
    for (const [group, members] of groups) {
      for (const member of members) groupsOf.set(keyOf(member), [...(groupsOf.get(keyOf(member)) ?? []), group]);
    }
    this.#groupsOf = groupsOf;
  }

  /** What decides, for whoever wants to know. `rightsOf` gives the same answers faster. */
  decide(identity: Identity, action: Action, repo: RepositoryName): Decision {
    if (identity.kind === 'operator') return { allowed: true, rule: undefined };
    const rule = this.rulesFor(identity).find((one) => allows(one, action, repo));
    if (rule === undefined) return { allowed: false, because: 'no-rule' };
    return isGranted(identity.grants, action, repo)
      ? { allowed: true, rule }
      : { allowed: false, because: 'not-granted', rule };
  }

  /** What somebody may do. */
  rightsOf(identity: Identity): Rights {
    if (identity.kind === 'operator') return allRights;
    const known = this.#rightsOf.get(identity);
    if (known !== undefined) return known;
    const rights = new RuledRights(this.rulesFor(identity), identity.grants);
    this.#rightsOf.set(identity, rights);
    return rights;
  }

  /** The groups of somebody: those of the configuration, and those that an issuer says. */
  groupsOf(identity: Identity): ReadonlySet<string> {
    const { kind, name, groups } = identity;
    const configured = kind === 'user' || kind === 'robot' ? this.#groupsOf.get(keyOf({ kind, name })) : undefined;
    // Whatever somebody else says has before it whose it is.
    return new Set([...groups.filter((group) => group.includes(':')), ...(configured ?? [])]);
  }

  /** The rules that are for somebody. */
  rulesFor(identity: Identity): readonly AccessRule[] {
    const groups = this.groupsOf(identity);
    return this.rules.filter(({ who }) =>
      who.everybody === 'authenticated' ? this.#isAuthenticated(identity) : isOneOf(who, identity, groups),
    );
  }

  /** An issuer may vouch for anybody who has an account with it, so theirs count only where that is said to be meant. */
  #isAuthenticated({ kind, issuer }: Identity): boolean {
    return kind !== 'anonymous' && (issuer === undefined || this.#vouching.has(issuer));
  }
}

/** The rules that are for one identity. */
class RuledRights implements Rights {
  readonly #rules: readonly AccessRule[];
  readonly #grants: readonly Grant[] | undefined;

  constructor(rules: readonly AccessRule[], grants: readonly Grant[] | undefined) {
    this.#rules = rules;
    this.#grants = grants;
  }

  may(action: Action, repo: RepositoryName): boolean {
    return this.#rules.some((rule) => allows(rule, action, repo)) && isGranted(this.#grants, action, repo);
  }

  mayInAll(action: Action, globs: readonly { readonly source: string }[]): boolean {
    if (this.#grants !== undefined) return false;
    const allowed = this.#rules.filter(({ actions }) => actions.has(action)).flatMap((rule) => rule.repositories);
    return globs.every(({ source }) => {
      const glob = Glob.parse(source);
      return glob.ok && allowed.some((one) => one.covers(glob.glob));
    });
  }

  mayEverywhere(action: Action): boolean {
    return this.mayInAll(action, everywhere);
  }

  maySomewhere(action: Action): boolean {
    if (!this.#rules.some(({ actions }) => actions.has(action))) return false;
    return this.#grants === undefined || this.#grants.some(({ repo }) => this.may(action, repo));
  }

  startsOf(action: Action): readonly string[] {
    const starts =
      this.#grants === undefined
        ? this.#rules
            .filter(({ actions }) => actions.has(action))
            .flatMap(({ repositories }) => repositories.map(({ start }) => start))
        : this.#grants.filter(({ repo }) => this.may(action, repo)).map(({ repo }) => repo);
    return shortest(starts);
  }

  needsWiderToken(action: Action, repo: RepositoryName): boolean {
    return !isGranted(this.#grants, action, repo) && this.#rules.some((rule) => allows(rule, action, repo));
  }
}

const everywhere = [{ source: '**' }];

function allows({ actions, repositories }: AccessRule, action: Action, repo: RepositoryName): boolean {
  return actions.has(action) && repositories.some((glob) => glob.matches(repo));
}

/**
 * A token is issued for what the token protocol has words for: pull, push and delete. Who pushes by it may move tags as far
 * as the rules allow.
 */
function isGranted(grants: readonly Grant[] | undefined, action: Action, repo: RepositoryName): boolean {
  if (grants === undefined) return true;
  return grants.some(
    (grant) =>
      grant.repo === repo &&
      (grant.actions.includes(action) || (action === 'tag-overwrite' && grant.actions.includes('push'))),
  );
}

function isOneOf(who: Who, identity: Identity, groups: ReadonlySet<string>): boolean {
  const { kind, name, claims } = identity;
  if (who.everybody === 'anonymous') return true;
  return (
    (kind === 'user' && isAmongNames(who.users, name)) ||
    (kind === 'robot' && isAmong(who.robots, name)) ||
    (kind === 'certificate' && isAmong(who.certificates, name)) ||
    [...groups].some((group) => isAmongNames(who.groups, group)) ||
    (who.claims.has('iss') !== (kind === 'certificate') && hasClaims(who.claims, claims))
  );
}

/**
 * What an issuer or a certificate says stands behind where it comes from, `corp:alice`: a glob means it only where it has
 * that to the letter, so that no star takes in what somebody else may say.
 */
function isAmongNames(globs: readonly Glob[], name: string): boolean {
  const colon = name.indexOf(':');
  return globs.some((glob) => glob.start.length > colon && glob.matches(name));
}

function isAmong(globs: readonly Glob[], name: string): boolean {
  return globs.some((glob) => glob.matches(name));
}

function hasClaims(wanted: Who['claims'], claims: Identity['claims']): boolean {
  if (wanted.size === 0) return false;
  return [...wanted].every(
    ([claim, globs]) =>
      Object.hasOwn(claims, claim) && (claims[claim]?.some((value) => isAmong(globs, value)) ?? false),
  );
}

function keyOf({ kind, name }: Member): string {
  return `${kind}:${name}`;
}

/** In byte order, without those that begin with another. */
function shortest(starts: readonly string[]): readonly string[] {
  const inOrder = [...new Set(starts)].toSorted();
  const kept: string[] = [];
  for (const start of inOrder) {
    const before = kept.at(-1);
    if (before === undefined || !start.startsWith(before)) kept.push(start);
  }
  return kept;
}

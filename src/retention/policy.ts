import type { Glob } from './glob.ts';
import type { Expression, Pattern } from './pattern.ts';

/** What becomes of a tag or of an untagged manifest. */
export type Action = 'keep' | 'prune';

/** What retention does with the repositories that one of the globs matches, unless an earlier policy matches them. */
export interface Policy {
  /** As it was given, else its place: `policies[0]`. */
  readonly name: string;
  readonly repositories: readonly Glob[];
  readonly rules: readonly Rule[];
  /** For what no rule names. */
  readonly default: Action;
  readonly rails: Rails;
  /** Whether what no rule keeps may go by least recent use where the disk is nearly full. */
  readonly whenFull: Action;
  readonly ignorePullsBy: IgnoredPulls;
  /** Whether a HEAD of a manifest counts as a pull. */
  readonly countHeads: boolean;
}

/** A selector, criteria that must all hold, and what is then done. */
export interface Rule {
  readonly name: string | undefined;
  /** Where it stands: `policies[0].rules[1]`. */
  readonly path: string;
  readonly action: Action;
  readonly selector: Selector;
  readonly criteria: Criteria;
}

/** What a rule is about: everything that is set must apply. */
export interface Selector {
  /** One of these matches the tag; empty: every tag. */
  readonly tags: readonly Pattern[];
  /** None of these matches the tag. */
  readonly exclude: readonly Pattern[];
  readonly tagState: 'tagged' | 'untagged' | 'any';
  /** Of the image's config, by name; each must be there and match. */
  readonly labels: ReadonlyMap<string, Pattern>;
  /** Of the manifest, by name; each must be there and match. */
  readonly annotations: ReadonlyMap<string, Pattern>;
  /** One of these matches the artifact type; empty: any, and none. */
  readonly artifactType: readonly Pattern[];
  /** One of these matches the manifest's media type; empty: any. */
  readonly mediaType: readonly Pattern[];
  readonly signed: boolean | undefined;
  /** The tag matches, and its first group divides the tags into groups that are counted each by itself. */
  readonly groupBy: Expression | undefined;
}

/** What must be true of something selected; what is undefined is not asked for. */
export interface Criteria {
  readonly mostRecentlyPushedCount: number | undefined;
  readonly mostRecentlyPulledCount: number | undefined;
  readonly pushedWithinMs: number | undefined;
  readonly pulledWithinMs: number | undefined;
  readonly taggedWithinMs: number | undefined;
  readonly olderThanMs: number | undefined;
  readonly notPulledForMs: number | undefined;
  readonly largerThanBytes: number | undefined;
  readonly semver: SemverCriterion | undefined;
  readonly budgetBytes: number | undefined;
}

/** Among the newest versions; of each major or minor version, where it says so. */
export interface SemverCriterion {
  readonly newest: number;
  readonly per: 'repository' | 'major' | 'minor';
  /** Whether pre-releases are left out, counted with the others, or the only ones that are meant. */
  readonly prereleases: 'exclude' | 'include' | 'only';
}

/** What holds whatever the rules say. */
export interface Rails {
  /** The part of a repository's tags, from 0 to 1, that may be pruned in a day. */
  readonly tagsPerDay: number;
  /** The part of a repository's bytes, from 0 to 1, that may be freed in a day. */
  readonly bytesPerDay: number;
  readonly mayPruneLastTag: boolean;
  /** Nothing is pruned before this much time has passed since it was last pushed or tagged. */
  readonly graceMs: number;
  /** Nor is an untagged manifest before this much has passed since it was last pushed, pulled or held by something. */
  readonly untaggedGraceMs: number;
}

/** Whose pulls do not count. */
export interface IgnoredPulls {
  readonly users: readonly Glob[];
  readonly robots: readonly Glob[];
  readonly userAgents: readonly Glob[];
}

/** The policy that a repository is under: the first that has a glob for it. */
export function policyFor(policies: readonly Policy[], repository: string): Policy | undefined {
  return policies.find(({ repositories }) => repositories.some((glob) => glob.matches(repository)));
}

/** Where something stands in a rule's words, or in the policy's: `builds, rule 2 (releases)`. */
export function ruleText(policy: Policy, rule: Rule): string {
  const number = policy.rules.indexOf(rule) + 1;
  return `rule ${number}${rule.name === undefined ? '' : ` (${rule.name})`} of ${policy.name}`;
}

/**
 * Policies as they are written in the configuration file. What may stand in them, and what it means, is in
 * docs/retention.md; schema.ts reads them.
 */
export interface PolicyDefinition {
  readonly name?: string;
  readonly repositories: OneOrMore;
  readonly default: 'keep' | 'prune';
  readonly rules?: readonly RuleDefinition[];
  readonly rails?: {
    readonly tagsPerDay?: string;
    readonly bytesPerDay?: string;
    readonly mayPruneLastTag?: boolean;
    readonly grace?: string;
    readonly untaggedGrace?: string;
  };
  readonly whenFull?: 'keep' | 'prune';
  readonly ignorePullsBy?: {
    readonly users?: OneOrMore;
    readonly robots?: OneOrMore;
    readonly userAgents?: OneOrMore;
  };
  readonly countHeads?: boolean;
}

export interface RuleDefinition {
  readonly name?: string;
  readonly action: 'keep' | 'prune';
  readonly tags?: OneOrMore;
  readonly exclude?: OneOrMore;
  readonly tagState?: 'tagged' | 'untagged' | 'any';
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: OneOrMore;
  readonly mediaType?: OneOrMore;
  readonly signed?: boolean;
  readonly mostRecentlyPushedCount?: number;
  readonly mostRecentlyPulledCount?: number;
  readonly pushedWithin?: string;
  readonly pulledWithin?: string;
  readonly taggedWithin?: string;
  readonly olderThan?: string;
  readonly notPulledFor?: string;
  readonly largerThan?: string;
  readonly semver?: {
    readonly newest: number;
    readonly per?: 'repository' | 'major' | 'minor';
    readonly prereleases?: 'exclude' | 'include' | 'only';
  };
  readonly groupBy?: string;
  readonly budget?: string;
}

type OneOrMore = string | readonly string[];

import type { Glob } from '../retention/glob.ts';
import type { Action } from './action.ts';

/** Whom a rule is for: whoever is one of these. */
export interface Who {
  /** Whoever asks: `anonymous` is everybody, `authenticated` everybody who has proven who they are. */
  readonly everybody: 'anonymous' | 'authenticated' | undefined;
  readonly users: readonly Glob[];
  readonly groups: readonly Glob[];
  readonly robots: readonly Glob[];
  readonly certificates: readonly Glob[];
  /** Of each claim one of the globs has to match; no claims are nobody's. */
  readonly claims: ReadonlyMap<string, readonly Glob[]>;
}

/** Some who may do some things in some repositories. Rules add up: what none of them allows, nobody may. */
export interface AccessRule {
  /** As it is shown: its own name, or `access[0]`. */
  readonly name: string;
  readonly who: Who;
  readonly repositories: readonly Glob[];
  readonly actions: ReadonlySet<Action>;
}

/** Users, or robots, who are in a group by the configuration. */
export interface Member {
  readonly kind: 'user' | 'robot';
  readonly name: string;
}

/** What a configuration says of who may do what. */
export interface AccessRules {
  readonly rules: readonly AccessRule[];
  readonly groups: ReadonlyMap<string, readonly Member[]>;
}

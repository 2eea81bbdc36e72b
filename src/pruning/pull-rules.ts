import type { RepositoryName } from '../oci/names.ts';
import { everyGet, type Puller, type PullRules } from '../registry/puller.ts';
import { policyFor, type Policy } from '../retention/policy.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import { countsAsPull, type CountedPulls, type Matcher } from '../retention/pulls.ts';

/** Repositories whose policies are remembered, and names of each kind for each policy. When there are more, it begins anew. */
const rememberedRepositories = 10_000;
const rememberedNames = 200;

/** Whose pulls count, by the policy that each repository is under. */
export class PolicyPullRules implements PullRules {
  readonly #policies: readonly Policy[];
  readonly #ofPolicy = new Map<Policy, PullRules>();
  readonly #ofRepository = new Map<RepositoryName, PullRules>();

  constructor({ policies }: PolicySet) {
    this.#policies = policies;
    for (const policy of policies) this.#ofPolicy.set(policy, rulesOf(policy));
  }

  counts(repo: RepositoryName, puller: Puller, method: 'GET' | 'HEAD'): boolean {
    const rules = this.#ofRepository.get(repo) ?? this.#find(repo);
    return rules.counts(repo, puller, method);
  }

  #find(repo: RepositoryName): PullRules {
    const policy = policyFor(this.#policies, repo);
    const rules = (policy && this.#ofPolicy.get(policy)) ?? everyGet;
    if (this.#ofRepository.size >= rememberedRepositories) this.#ofRepository.clear();
    this.#ofRepository.set(repo, rules);
    return rules;
  }
}

function rulesOf({ ignorePullsBy: { users, robots, userAgents }, countHeads }: Policy): PullRules {
  if (users.length + robots.length + userAgents.length === 0) return countHeads ? everyRequest : everyGet;
  const ignorePullsBy = { users: remembering(users), robots: remembering(robots), userAgents: remembering(userAgents) };
  const counted: CountedPulls = { ignorePullsBy, countHeads };
  return { counts: (_repo, puller, method) => countsAsPull(counted, puller, method) };
}

const everyRequest: PullRules = { counts: () => true };

function remembering(matchers: readonly Matcher[]): readonly Matcher[] {
  return matchers.length === 0 ? [] : [new RememberingMatcher(matchers)];
}

/** Several in one, for texts that come again and again. */
class RememberingMatcher implements Matcher {
  readonly #matchers: readonly Matcher[];
  readonly #known = new Map<string, boolean>();

  constructor(matchers: readonly Matcher[]) {
    this.#matchers = matchers;
  }

  matches(text: string): boolean {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const isMatched = this.#matchers.some((matcher) => matcher.matches(text));
    if (this.#known.size >= rememberedNames) this.#known.clear();
    this.#known.set(text, isMatched);
    return isMatched;
  }
}

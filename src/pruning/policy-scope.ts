import type { RepositoryName } from '../oci/names.ts';
import type { RetentionScope } from '../registry/retention-review.ts';
import { policyFor, type Policy, type Rule } from '../retention/policy.ts';

/** Repositories whose policy is remembered at most. */
const maxRemembered = 10_000;

/** Which repositories the policies of a registry are for, as the operations ask it. */
export class PolicyScope implements RetentionScope {
  readonly #policies: readonly Policy[];
  readonly #afterMs: number;
  readonly #remembered = new Map<RepositoryName, Policy | undefined>();

  /** @param afterMs how soon after a change a repository is looked at, in ms */
  constructor(policies: readonly Policy[], afterMs: number) {
    this.#policies = policies;
    this.#afterMs = afterMs;
  }

  /** The policy that a repository is under. */
  policyOf(repo: RepositoryName): Policy | undefined {
    if (this.#remembered.has(repo)) return this.#remembered.get(repo);
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    const policy = policyFor(this.#policies, repo);
    this.#remembered.set(repo, policy);
    return policy;
  }

  lookAfterMs(repo: RepositoryName): number | undefined {
    return this.policyOf(repo) === undefined ? undefined : this.#afterMs;
  }

  heedsPulls(repo: RepositoryName): boolean {
    const { rules = [] } = this.policyOf(repo) ?? {};
    return rules.some(
      ({ criteria }) => criteria.mostRecentlyPulledCount !== undefined || criteria.budgetBytes !== undefined,
    );
  }

  heedsMoves(repo: RepositoryName): boolean {
    const { rules = [] } = this.policyOf(repo) ?? {};
    return rules.some((rule) => rule.criteria.budgetBytes !== undefined || (counts(rule) && isByContent(rule)));
  }
}

function counts({ criteria: { mostRecentlyPushedCount, mostRecentlyPulledCount, semver } }: Rule): boolean {
  return (mostRecentlyPushedCount ?? mostRecentlyPulledCount ?? semver) !== undefined;
}

/** Whether it selects by what a tag leads to, and not by its name alone. */
function isByContent({ selector: { labels, annotations, artifactType, mediaType, signed } }: Rule): boolean {
  return labels.size + annotations.size + artifactType.length + mediaType.length > 0 || signed !== undefined;
}

import { parseDuration } from '../../src/config/duration.ts';
import { digestOf, type Digest } from '../../src/oci/digest.ts';
import { parseTagName, type TagName } from '../../src/oci/names.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { evaluate, type Verdict } from '../../src/retention/evaluate.ts';
import { nameOf, type RepositoryFacts, type TagFacts, type UntaggedFacts } from '../../src/retention/facts.ts';
import { parsePolicies } from '../../src/retention/parse.ts';
import type { Policy } from '../../src/retention/policy.ts';

/** The time that the tests' ages count back from. */
export const now = Date.UTC(2030, 0, 31, 12);

/** A tag or an untagged manifest, as far as it matters. Times are ages: `7d` is that long before `now`. */
export interface Given {
  /** 100d where it is not given; null is not known. */
  readonly pushed?: string | null;
  /** As pushed, where it is not given. */
  readonly tagged?: string | null;
  /** Never, where it is not given. */
  readonly pulled?: string;
  readonly untagged?: string;
  /** Sizes of contents, by a word that stands for a digest. */
  readonly contents?: Readonly<Record<string, number>>;
  readonly sizeBytes?: number | null;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly isSigned?: boolean;
  readonly isPinned?: boolean;
  readonly follows?: 'index' | 'subject';
}

export function tagName(name: string): TagName {
  const parsed = parseTagName(name);
  if (parsed === undefined) throw new Error(`${name} is not a tag`);
  return parsed;
}

/** The digest that a word stands for. */
export function digestFor(word: string): Digest {
  return digestOf('sha256', new TextEncoder().encode(word));
}

export function timeAt(age: string): number {
  const parsed = parseDuration(age);
  if (!parsed.ok) throw new Error(`${age} is not an age`);
  return now - parsed.ms;
}

export function tagFacts(name: string, given: Given): TagFacts {
  return { kind: 'tag', name: tagName(name), ...itemFacts(name, given) };
}

export function untaggedFacts(word: string, given: Given): UntaggedFacts {
  const untaggedAt = given.untagged === undefined ? null : timeAt(given.untagged);
  return { kind: 'untagged', untaggedAt, ...itemFacts(word, { tagged: null, ...given }) };
}

function itemFacts(word: string, given: Given): Omit<TagFacts, 'kind' | 'name'> {
  const pushed = given.pushed === undefined ? '100d' : given.pushed;
  const tagged = given.tagged === undefined ? pushed : given.tagged;
  const contents = Object.entries(given.contents ?? { [word]: 1000 }).map(([content, sizeBytes]) => ({
    digest: digestFor(content),
    sizeBytes,
  }));
  return {
    digest: digestFor(`manifest of ${word}`),
    pushedAt: pushed === null ? null : timeAt(pushed),
    taggedAt: tagged === null ? null : timeAt(tagged),
    pulledAt: given.pulled === undefined ? null : timeAt(given.pulled),
    mediaType: given.mediaType ?? 'application/vnd.oci.image.manifest.v1+json',
    artifactType: given.artifactType ?? null,
    labels: given.labels ?? {},
    annotations: given.annotations ?? {},
    isSigned: given.isSigned ?? false,
    sizeBytes:
      given.sizeBytes === undefined ? contents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) : given.sizeBytes,
    contents,
    isPinned: given.isPinned ?? false,
    follows: given.follows ?? null,
  };
}

/** A repository of tags by their names, and of untagged manifests by words that stand for their digests. */
export interface GivenRepository {
  readonly tags?: Readonly<Record<string, Given>>;
  readonly untagged?: Readonly<Record<string, Given>>;
}

export function repositoryFacts({ tags = {}, untagged = {} }: GivenRepository): RepositoryFacts {
  return {
    tags: Object.entries(tags).map(([name, given]) => tagFacts(name, given)),
    untagged: Object.entries(untagged).map(([word, given]) => untaggedFacts(word, given)),
  };
}

export function policyOf(definition: PolicyDefinition): Policy {
  const parsed = parsePolicies([definition]);
  const [policy] = parsed.ok ? parsed.policies : [];
  if (policy === undefined) throw new Error(parsed.ok ? 'no policy' : parsed.problems.join('\n'));
  return policy;
}

/** What a policy decides, by the names and words of the repository. */
export function decide(
  policy: Policy | PolicyDefinition,
  repository: GivenRepository,
  time: number = now,
): ReadonlyMap<string, Verdict> {
  const facts = repositoryFacts(repository);
  const words = new Map(Object.keys(repository.untagged ?? {}).map((word) => [digestFor(`manifest of ${word}`), word]));
  const { verdicts } = evaluate(isParsed(policy) ? policy : policyOf(policy), facts, time);
  return new Map(
    verdicts.map((verdict) => [
      verdict.item.kind === 'tag' ? nameOf(verdict.item) : (words.get(verdict.item.digest) ?? ''),
      verdict,
    ]),
  );
}

function isParsed(policy: Policy | PolicyDefinition): policy is Policy {
  return policy.rails !== undefined && 'graceMs' in policy.rails;
}

/** The names and words of what is pruned, in their order. */
export function pruned(
  policy: Policy | PolicyDefinition,
  repository: GivenRepository,
  time: number = now,
): readonly string[] {
  return [...decide(policy, repository, time)].filter(([, { action }]) => action === 'prune').map(([name]) => name);
}

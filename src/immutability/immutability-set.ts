import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Immutability } from '../registry/immutability.ts';
import { problemLines, repeatedNames } from '../retention/document-problems.ts';
import { type ImmutabilityDefinition, immutableSchema, namesIn } from './schema.ts';

/** A rule by which tags of repositories can be neither overwritten nor deleted. */
export interface ImmutabilityRule extends ImmutabilityDefinition {
  readonly name: string;
}

export type ImmutabilitySetResult =
  { readonly ok: true; readonly set: ImmutabilitySet } | { readonly ok: false; readonly problems: readonly string[] };

/** The rules of a registry: something is immutable by the first that is for it. */
export class ImmutabilitySet implements Immutability {
  readonly rules: readonly ImmutabilityRule[];

  private constructor(rules: readonly ImmutabilityRule[]) {
    this.rules = rules;
  }

  /**
   * Parses what stands under `immutable`: lists, groups and texts as YAML or JSON has them. Everything that is wrong is
   * reported, not just the first thing.
   *
   * @param whereIs where a part of it stands, such as `wherry.yaml:12`, by the keys and indexes that lead there
   */
  static parse(
    given: unknown,
    whereIs: (path: readonly PropertyKey[]) => string | undefined = () => undefined,
  ): ImmutabilitySetResult {
    const parsed = immutableSchema.safeParse(given);
    if (!parsed.success) {
      return { ok: false, problems: problemLines(parsed.error.issues, { root: 'immutable', namesIn, whereIs }) };
    }
    const rules = parsed.data.map(({ repositories, tags, exclude, name }, position) => ({
      name: name ?? `immutable[${position}]`,
      repositories,
      tags,
      exclude,
    }));
    const problems = repeatedNames(rules).map((name) => `immutable: two of them are named ${JSON.stringify(name)}`);
    return problems.length > 0 ? { ok: false, problems } : { ok: true, set: new ImmutabilitySet(rules) };
  }

  /** As it could be written, in JSON. */
  get settings(): string {
    return JSON.stringify(
      this.rules.map(({ name, repositories, tags, exclude }) => ({
        name,
        repositories: repositories.map(({ source }) => source),
        ...(tags !== undefined && { tags: tags.map(({ source }) => source) }),
        ...(exclude.length > 0 && { exclude: exclude.map(({ source }) => source) }),
      })),
    );
  }

  ofTag(repo: RepositoryName, tag: TagName): string | undefined {
    return this.rules.find(
      (rule) =>
        isFor(rule, repo) &&
        (rule.tags?.some((pattern) => pattern.matches(tag)) ?? true) &&
        !rule.exclude.some((pattern) => pattern.matches(tag)),
    )?.name;
  }

  ofRepository(repo: RepositoryName): string | undefined {
    return this.rules.find((rule) => rule.tags === undefined && rule.exclude.length === 0 && isFor(rule, repo))?.name;
  }
}

function isFor({ repositories }: ImmutabilityRule, repo: RepositoryName): boolean {
  return repositories.some((glob) => glob.matches(repo));
}

import { formatByteSize } from '../config/byte-size.ts';
import { digestOf } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Quota, QuotaLimits } from '../registry/quotas.ts';
import { problemLines, repeatedNames } from '../retention/document-problems.ts';
import type { Glob } from '../retention/glob.ts';
import { namesIn, type QuotaDefinition, quotasSchema } from './schema.ts';

/** A quota of the configuration. */
export interface ConfiguredQuota extends Omit<Quota, 'number'> {
  /** Where it stands among them, from 0. */
  readonly position: number;
  readonly repositories: readonly Glob[];
  /** Of all that decides which repositories it is for: while it stays the same, so does what is counted. */
  readonly repositoriesHash: string;
  /** As it could be written, in JSON. */
  readonly settings: string;
}

export type QuotaSetResult =
  { readonly ok: true; readonly set: QuotaSet } | { readonly ok: false; readonly problems: readonly string[] };

/** The quotas of a registry, in their order: a repository is under the first that has a glob for it. */
export class QuotaSet {
  readonly quotas: readonly ConfiguredQuota[];

  private constructor(quotas: readonly ConfiguredQuota[]) {
    this.quotas = quotas;
  }

  /**
   * Parses what stands under `quotas`: lists, groups and single values as YAML or JSON has them. Everything that is wrong
   * is reported, not just the first thing.
   *
   * @param whereIs where a part of it stands, such as `wherry.yaml:12`, by the keys and indexes that lead there
   */
  static parse(
    given: unknown,
    whereIs: (path: readonly PropertyKey[]) => string | undefined = () => undefined,
  ): QuotaSetResult {
    const parsed = quotasSchema.safeParse(given);
    if (!parsed.success) {
      return { ok: false, problems: problemLines(parsed.error.issues, { root: 'quotas', namesIn, whereIs }) };
    }
    const quotas = configured(parsed.data);
    const problems = repeatedNames(quotas).map((name) => `quotas: two of them are named ${JSON.stringify(name)}`);
    return problems.length > 0 ? { ok: false, problems } : { ok: true, set: new QuotaSet(quotas) };
  }

  of(repo: RepositoryName): ConfiguredQuota | undefined {
    return this.quotas.find(({ repositories }) => repositories.some((glob) => glob.matches(repo)));
  }
}

function configured(definitions: readonly QuotaDefinition[]): readonly ConfiguredQuota[] {
  const taken = new Set<string>();
  return definitions.map(({ repositories, each, bytes, tags, ...given }, position) => {
    const name = given.name ?? `quotas[${position}]`;
    const globs = repositories.map(({ source }) => source);
    const decisive = [each, inOrder(globs), inOrder(taken)];
    for (const glob of globs) taken.add(glob);
    return {
      position,
      name,
      isEach: each,
      bytes,
      tags,
      repositories,
      repositoriesHash: digestOf('sha256', new TextEncoder().encode(JSON.stringify(decisive))),
      settings: JSON.stringify({
        name,
        repositories: globs,
        each,
        ...written('bytes', bytes, formatByteSize),
        ...written('tags', tags, String),
      }),
    };
  });
}

function inOrder(globs: Iterable<string>): readonly string[] {
  return [...new Set(globs)].toSorted();
}

function written(
  key: 'bytes' | 'tags',
  { soft, hard }: QuotaLimits,
  format: (amount: number) => string,
): Readonly<Record<string, object>> {
  if (soft === undefined && hard === undefined) return {};
  return {
    [key]: {
      ...(soft !== undefined && { soft: format(soft) }),
      ...(hard !== undefined && { hard: format(hard) }),
    },
  };
}

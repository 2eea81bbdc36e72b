import { describeDigestProblem, type Digest, digestGrammar, parseDigest } from './digest.ts';
import {
  describeRepositoryNameProblem,
  describeTagNameProblem,
  parseRepositoryName,
  parseTagName,
  repositoryNameGrammar,
  type RepositoryName,
  tagNameGrammar,
  type TagName,
} from './names.ts';

/** Something of a registry as a person names it: a repository, a tag of it, a manifest of it, or both. */
export interface Target {
  readonly repo: RepositoryName;
  readonly tag: TagName | undefined;
  readonly digest: Digest | undefined;
}

export type TargetParse =
  { readonly ok: true; readonly target: Target } | { readonly ok: false; readonly message: string };

/** What {@link parseTarget} reads, but for how long a repository's name may be, as a regular expression of JSON Schema. */
export const targetPattern = `^${repositoryNameGrammar}(:${tagNameGrammar})?(@(${digestGrammar}))?$`;

/** Reads `REPO`, `REPO:TAG`, `REPO@DIGEST` or `REPO:TAG@DIGEST`. */
export function parseTarget(text: string): TargetParse {
  const at = text.indexOf('@');
  const beforeDigest = at === -1 ? text : text.slice(0, at);
  const colon = beforeDigest.indexOf(':');
  const repoText = colon === -1 ? beforeDigest : beforeDigest.slice(0, colon);
  const repo = parseRepositoryName(repoText);
  if (repo === undefined) return { ok: false, message: describeRepositoryNameProblem(repoText) };
  const tagText = colon === -1 ? undefined : beforeDigest.slice(colon + 1);
  const tag = tagText === undefined ? undefined : parseTagName(tagText);
  if (tagText !== undefined && tag === undefined) return { ok: false, message: describeTagNameProblem(tagText) };
  const digestText = at === -1 ? undefined : text.slice(at + 1);
  const digest = digestText === undefined ? undefined : parseDigest(digestText);
  if (digestText !== undefined && digest === undefined) {
    return { ok: false, message: describeDigestProblem(digestText) };
  }
  return { ok: true, target: { repo, tag, digest } };
}

/** Writes what `parseTarget` reads back. */
export function targetText({ repo, tag, digest }: Target): string {
  return `${repo}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

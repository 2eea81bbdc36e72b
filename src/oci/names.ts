import { quote } from './quote.ts';

/** A repository's name, the spec's `<name>`: components of lower-case letters and digits, divided by slashes. */
export type RepositoryName = string & { readonly __brand: 'RepositoryName' };

/** A tag's name. */
export type TagName = string & { readonly __brand: 'TagName' };

export const repositoryNameGrammar = '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*';
export const tagNameGrammar = '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}';

/** The limit that clients share (spec.md, "Pulling manifests", implementers' note). */
const longestRepositoryName = 255;
const longestTagName = 128;

// Linear: no character that may end one part of it may begin the next, so no text can be divided in two ways.
const wellFormedRepositoryName = new RegExp(`^${repositoryNameGrammar.replaceAll('(', '(?:')}$`);
const wellFormedTagName = new RegExp(`^${tagNameGrammar}$`);

function isRepositoryName(text: string): text is RepositoryName {
  return text.length <= longestRepositoryName && wellFormedRepositoryName.test(text);
}

function isTagName(text: string): text is TagName {
  return text.length <= longestTagName && wellFormedTagName.test(text);
}

/**
 * The spec's `<name>` (spec.md, "Pulling manifests"), at most 255 characters, or undefined;
 * {@link describeRepositoryNameProblem} says why.
 */
export function parseRepositoryName(text: string): RepositoryName | undefined {
  return isRepositoryName(text) ? text : undefined;
}

/** A tag (spec.md, "Pulling manifests"), or undefined; {@link describeTagNameProblem} says why. */
export function parseTagName(text: string): TagName | undefined {
  return isTagName(text) ? text : undefined;
}

/** Says what is wrong with a text for which {@link parseRepositoryName} found no name. */
export function describeRepositoryNameProblem(text: string): string {
  const problem = repositoryNameProblem(text);
  if (problem === undefined) return `${quote(text)} is a valid repository name`;
  return `${quote(text)} is not a repository name: ${problem}; names match ${repositoryNameGrammar} and have at most ${longestRepositoryName} characters`;
}

function repositoryNameProblem(text: string): string | undefined {
  if (text === '') return 'it is empty';
  if (text.length > longestRepositoryName) return `it has ${text.length} characters`;
  if (isRepositoryName(text)) return undefined;
  if (/[A-Z]/.test(text)) return 'letters must be lower-case';
  const foreign = /[^a-z0-9._/-]/u.exec(text);
  if (foreign !== null) return `${quote(foreign[0])} is not allowed in it`;
  if (text.startsWith('/') || text.endsWith('/') || text.includes('//')) {
    return 'a slash must stand between two components';
  }
  return 'each component must begin and end with a letter or digit, and between them stands ".", "_", "__" or dashes only';
}

/** Says what is wrong with a text for which {@link parseTagName} found no tag. */
export function describeTagNameProblem(text: string): string {
  const problem = tagNameProblem(text);
  if (problem === undefined) return `${quote(text)} is a valid tag`;
  return `${quote(text)} is not a tag: ${problem}; tags match ${tagNameGrammar}`;
}

function tagNameProblem(text: string): string | undefined {
  if (text === '') return 'it is empty';
  if (text.length > longestTagName) return `it has ${text.length} characters, ${longestTagName} at most are allowed`;
  if (isTagName(text)) return undefined;
  const foreign = /[^a-zA-Z0-9._-]/u.exec(text);
  if (foreign !== null) return `${quote(foreign[0])} is not allowed in it`;
  return `it must not begin with ${quote(text.charAt(0))}`;
}

/** Stands behind the names of all repositories in byte order: no name has it in it. */
export const afterAllRepositories = '~';

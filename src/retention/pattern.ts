import { RE2JS, RE2JSException } from 're2js';
import { quote } from '../oci/quote.ts';
import { Glob } from './glob.ts';

/** A longer one is a mistake. */
const longestExpression = 512;

/** RE2's measure of an expression, to which the time of a match is in proportion too: `{1,1000}` makes a large one. */
const largestExpression = 1000;

/** What a text can be matched with: a glob, or a regular expression between slashes. */
export type Pattern = Glob | Expression;

export type PatternResult =
  { readonly ok: true; readonly pattern: Pattern } | { readonly ok: false; readonly problem: string };

/**
 * A regular expression with the syntax and the promise of RE2: the time that a match takes is in proportion to the
 * length of the text. It is anchored: the whole text must match, as if it stood between `^` and `$`.
 */
export class Expression {
  /** As it was written, with its slashes. */
  readonly source: string;
  readonly #compiled: RE2JS;

  private constructor(source: string, compiled: RE2JS) {
    this.source = source;
    this.#compiled = compiled;
  }

  /** @param source the expression between its slashes */
  static parse(source: string): PatternResult {
    const text = source.slice(1, -1);
    if (text.length > longestExpression) {
      return { ok: false, problem: `this is longer than ${longestExpression} characters` };
    }
    try {
      const compiled = RE2JS.compile(text);
      if (compiled.programSize() <= largestExpression) return { ok: true, pattern: new Expression(source, compiled) };
      return { ok: false, problem: 'this would take long on every name; repeat less in it' };
    } catch (error) {
      if (!(error instanceof RE2JSException)) throw error;
      return { ok: false, problem: `this is not a regular expression of RE2: ${error.message}` };
    }
  }

  /** Without the slashes. */
  get text(): string {
    return this.source.slice(1, -1);
  }

  get groupCount(): number {
    return this.#compiled.groupCount();
  }

  matches(text: string): boolean {
    return this.#compiled.testExact(text);
  }

  /** What the first group holds; undefined where the text does not match, or the group takes no part in the match. */
  group(text: string): string | undefined {
    // Telling that there is no match is much faster than looking for its groups.
    if (!this.matches(text)) return undefined;
    const matcher = this.#compiled.matcher(text);
    return matcher.matches() ? (matcher.group(1) ?? undefined) : undefined;
  }
}

/** Whether a text is written as a regular expression. No tag and no repository begins with a slash. */
export function isExpression(text: string): boolean {
  return text.length > 2 && text.startsWith('/') && text.endsWith('/');
}

/** Parses a glob or, between slashes, a regular expression. */
export function parsePattern(text: string): PatternResult {
  if (isExpression(text)) return Expression.parse(text);
  const parsed = Glob.parse(text);
  return parsed.ok ? { ok: true, pattern: parsed.glob } : parsed;
}

/** Parses a pattern for names of tags. A glob that can match none is refused. */
export function parseTagPattern(text: string): PatternResult {
  const foreign = isExpression(text) ? null : /[^a-zA-Z0-9._*?-]/u.exec(text);
  if (foreign !== null) return { ok: false, problem: `no tag has ${quote(foreign[0])} in it${tagHint(text)}` };
  return parsePattern(text);
}

/** Parses a glob for names of repositories. One that can match none is refused. */
export function parseRepositoryGlob(
  text: string,
): { readonly ok: true; readonly glob: Glob } | { readonly ok: false; readonly problem: string } {
  if (isExpression(text)) return { ok: false, problem: 'repositories are named by globs, not by regular expressions' };
  const foreign = /[^a-z0-9._/*?-]/u.exec(text);
  if (foreign === null && !text.startsWith('/') && !text.endsWith('/')) return Glob.parse(text);
  if (foreign === null) return { ok: false, problem: 'no repository begins or ends with a slash' };
  const hint = /[{[]/.test(text) ? '; write each name or glob by itself, as a list' : '';
  return { ok: false, problem: `no repository has ${quote(foreign[0])} in it${hint}` };
}

function tagHint(text: string): string {
  if (/^\{.*\}$/.test(text)) return '; write each pattern by itself, as a list';
  if (text.startsWith('!')) return '; name what is not meant under exclude';
  return '; a regular expression stands between slashes, as in /v\\d+/';
}

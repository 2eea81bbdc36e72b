import { parseRepositoryGlob, parseTagPattern } from '../pattern.ts';

/** Globs that mean the same here; undefined where it takes more than globs to say that. */
export type Globs = readonly string[] | undefined;

/** A doublestar pattern for repositories, as zot and Harbor have them. */
export function repositoryGlobs(pattern: string): Globs {
  const globs = fromDoublestar(pattern);
  return globs?.every((glob) => parseRepositoryGlob(glob).ok) === true ? globs : undefined;
}

/** A doublestar pattern for tags, as Harbor has them. */
export function tagGlobs(pattern: string): Globs {
  const globs = fromDoublestar(pattern)?.map((glob) => glob.replaceAll(/\*+/g, '*'));
  return globs?.every((glob) => parseTagPattern(glob).ok) === true ? globs : undefined;
}

function fromDoublestar(pattern: string): Globs {
  // Classes and escapes have no counterpart.
  if (/[[\]\\]/.test(pattern)) return undefined;
  return expandBraces(pattern)?.map((glob) =>
    // There, only a component that is nothing but ** goes beyond a slash.
    glob
      .split('/')
      .map((component) => (component === '**' ? component : component.replaceAll(/\*+/g, '*')))
      .join('/'),
  );
}

/** `{a,b}-c` is `a-c` and `b-c`; undefined for braces that do not match. */
function expandBraces(pattern: string): Globs {
  const group = /\{([^{}]*)\}/.exec(pattern);
  if (group === null) return /[{}]/.test(pattern) ? undefined : [pattern];
  const [whole, inside = ''] = group;
  const before = pattern.slice(0, group.index);
  const after = pattern.slice(group.index + whole.length);
  const expanded = inside.split(',').map((one) => expandBraces(before + one.trim() + after));
  return expanded.every((globs) => globs !== undefined) ? [...new Set(expanded.flat())] : undefined;
}

/** A regular expression that may match anywhere in a tag, as one that must match all of it. */
export function unanchored(expression: string): string {
  if (expression.includes('|')) return `/.*(?:${expression}).*/`;
  const start = /^(?:\^|\.\*)/.test(expression) ? '' : '.*';
  const end = /(?:^|[^\\])\$$|(?:^|[^\\])\.\*$/.test(expression) ? '' : '.*';
  return `/${start}${expression.replace(/^\^/, '').replace(/([^\\]|^)\$$/, '$1')}${end}/`;
}

import { Glob } from 'bun';

/** A longer one is a mistake. */
const longestPattern = 512;
/** The runtime takes no more, and would find nothing. */
const deepestBraces = 10;

export interface PatternOptions {
  /** Upper and lower case are the same. */
  readonly ignoresCase: boolean;
}

export type PathPatternResult =
  { readonly ok: true; readonly pattern: PathPattern } | { readonly ok: false; readonly problem: string };

/**
 * A glob for paths in a layer: `*` and `?` stand for characters of a component, `**` for any number of components, `{a,b}`
 * for either, `[a-z]` and `[!a-z]` for a character; a backslash takes its meaning from what follows it. A dot is a
 * character like any other. Without a slash it is matched with the last component of a path, else with the whole.
 */
export class PathPattern {
  readonly #glob: Glob;
  readonly #isForName: boolean;
  readonly #ignoresCase: boolean;

  private constructor(text: string, ignoresCase: boolean) {
    this.#isForName = !text.includes('/');
    this.#ignoresCase = ignoresCase;
    this.#glob = new Glob(ignoresCase ? text.toLowerCase() : text);
  }

  static parse(text: string, { ignoresCase }: PatternOptions): PathPatternResult {
    // Paths in layers are told with and without these.
    const glob = text.replace(/^(?:\.?\/)+/, '').replace(/(?<=[^\\])\/+$/, '');
    if (glob === '') return { ok: false, problem: 'this is empty' };
    if (text.length > longestPattern) return { ok: false, problem: `this is longer than ${longestPattern} characters` };
    if (glob.startsWith('!')) {
      return { ok: false, problem: 'this would be everything but what follows the !; write \\! for a name with one' };
    }
    const problem = problemWithBrackets(glob);
    return problem === undefined ? { ok: true, pattern: new PathPattern(glob, ignoresCase) } : { ok: false, problem };
  }

  /** @param path as `entryPath` makes it */
  matches(path: string): boolean {
    const text = this.#isForName ? path.slice(path.lastIndexOf('/') + 1) : path;
    return this.#glob.match(this.#ignoresCase ? text.toLowerCase() : text);
  }
}

/** What is not closed would stand for itself, and so for nothing that somebody looks for. */
function problemWithBrackets(glob: string): string | undefined {
  let depth = 0;
  for (let at = 0; at < glob.length; at += 1) {
    const character = glob[at];
    if (character === '\\') {
      at += 1;
      if (at === glob.length) return 'it ends with a backslash, which needs something to follow it';
    } else if (character === '[') {
      const close = glob.indexOf(']', at + (/^\[[!^]?\]/.test(glob.slice(at)) ? 3 : 1));
      if (close === -1) return 'a [ has no ]; write \\[ for a name with one';
      at = close;
    } else if (character === '{') {
      depth += 1;
      if (depth > deepestBraces) return `more than ${deepestBraces} braces within each other`;
    } else if (character === '}') {
      if (depth === 0) return 'a } has no {; write \\} for a name with one';
      depth -= 1;
    }
  }
  return depth === 0 ? undefined : 'a { has no }; write \\{ for a name with one';
}

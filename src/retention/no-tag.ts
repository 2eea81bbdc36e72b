import { Glob } from './glob.ts';
import type { Pattern } from './pattern.ts';

const inTags = /[A-Za-z0-9_.-]/;

/**
 * Whether a pattern certainly matches no tag, because it asks for a character that no tag has. Of regular expressions
 * only those without groups and alternatives are looked at; of globs none, because such a one is refused.
 */
export function matchesNoTag(pattern: Pattern): boolean {
  if (pattern instanceof Glob) return false;
  const { text } = pattern;
  if (/[|()]|\\Q/.test(text)) return false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] ?? '';
    let literal: string | undefined;
    if (character === '[') {
      const end = text.indexOf(']', index + (text[index + 1] === '^' ? 3 : 2));
      // A class with a class or an escape in it may end elsewhere.
      if (end === -1 || /[\\[]/.test(text.slice(index + 1, end))) return false;
      index = end;
    } else if (character === '\\') {
      index += 1;
      const escaped = text[index] ?? '';
      if (/[pPxC0-7]/.test(escaped)) return false;
      literal = /[a-zA-Z]/.test(escaped) ? undefined : escaped;
    } else if (!/[.^$*+?{}]/.test(character)) {
      literal = character;
    } else if (character === '{') {
      index = Math.max(index, text.indexOf('}', index));
    }
    if (literal !== undefined && !inTags.test(literal) && !isOptional(text, index + 1)) return true;
  }
  return false;
}

function isOptional(text: string, next: number): boolean {
  return /^(?:[*?]|\{0)/.test(text.slice(next));
}

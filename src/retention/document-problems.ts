import type { z } from 'zod';
import { suggestion } from '../config/nearest.ts';

/** What the problems of a document are worded with. */
export interface DocumentWords {
  /** The key under which it stands, such as `policies`. */
  readonly root: string;
  /** The names that may stand where a problem's path leads, for the nearest spelling. */
  readonly namesIn: (path: readonly PropertyKey[]) => readonly string[];
  /** Where a part of it stands, such as `wherry.yaml:12`, by the keys and indexes that lead there. */
  readonly whereIs: (path: readonly PropertyKey[]) => string | undefined;
}

/** Lines for a person: where it stands, the path, what is wrong and what to write instead. */
export function problemLines(issues: readonly z.core.$ZodIssue[], words: DocumentWords): readonly string[] {
  return issues.flatMap((issue) => linesOf(issue, words));
}

function linesOf(issue: z.core.$ZodIssue, { root, namesIn, whereIs }: DocumentWords): readonly string[] {
  const line = (path: readonly PropertyKey[], message: string): string => {
    const where = whereIs(path);
    return `${where === undefined ? '' : `${where}: `}${pathText(root, path)} ${message}`;
  };
  if (issue.code !== 'unrecognized_keys') return [line(issue.path, issue.message)];
  return issue.keys.map((key) => line([...issue.path, key], `is not a setting${suggestion(key, namesIn(issue.path))}`));
}

/** `policies[0].rules[1].olderThan` */
function pathText(root: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}.${String(part)}`),
    root,
  );
}

/** The names that more than one of some things have. */
export function repeatedNames(named: readonly { readonly name: string }[]): readonly string[] {
  const names = named.map(({ name }) => name);
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
}

import { z } from 'zod';
import { choice, type SettingType } from '../config/setting-types.ts';
import { quote } from '../oci/quote.ts';
import { parseRepositoryGlob } from './pattern.ts';

// What the documents within a configuration file are made of: policies, and quotas.

/** A value: as a text, which all of a YAML file's are, or as what it is, which a JSON document has. */
export function value<T>(type: Pick<SettingType<T>, 'accepts' | 'schema'>, whenMissing = 'is missing'): z.ZodType<T> {
  return z.unknown().transform((given, context) => {
    const text = textOf(given);
    if (text === undefined) {
      const problem = given === undefined ? whenMissing : problemWithoutText(given);
      context.addIssue({ code: 'custom', message: `${problem}. It takes ${type.accepts}.` });
      return z.NEVER;
    }
    const outcome = type.schema.safeParse(text);
    if (outcome.success) return outcome.data;
    const reasons = outcome.error.issues.map(({ message }) => message).join('; ');
    context.addIssue({ code: 'custom', message: `cannot be ${quote(text)}: ${reasons}. It takes ${type.accepts}.` });
    return z.NEVER;
  });
}

/** A value that a parser of our own reads. */
export function parsed<T>(
  accepts: string,
  parse: (text: string) => { ok: true; result: T } | { ok: false; problem: string },
): z.ZodType<T> {
  return value({
    accepts,
    schema: z.string().transform((text, context) => {
      const outcome = parse(text);
      if (outcome.ok) return outcome.result;
      context.addIssue({ code: 'custom', message: outcome.problem });
      return z.NEVER;
    }),
  });
}

/** One value, or a list of them that is not empty. */
export function oneOrMore<T>(element: z.ZodType<T>): z.ZodType<readonly T[]> {
  return z.unknown().transform((given, context) => {
    const elements: readonly unknown[] = Array.isArray(given) ? given : [given];
    if (elements.length === 0) context.addIssue({ code: 'custom', message: 'is an empty list' });
    return elements.flatMap((one, index) => {
      const outcome = element.safeParse(one);
      if (outcome.success) return [outcome.data];
      const path = Array.isArray(given) ? [index] : [];
      for (const { message } of outcome.error.issues) context.addIssue({ code: 'custom', message, path });
      return [];
    });
  });
}

/** A group of settings by name. Which names it has, those who word the problems know (`DocumentWords`). */
export function group<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: ({ code }) => (code === 'invalid_type' ? 'is a group of settings' : undefined),
  });
}

/** A glob for names of repositories. */
export const repositoryGlob = parsed('globs such as team/app, team/* and team/**', (text) => {
  const outcome = parseRepositoryGlob(text);
  return outcome.ok ? { ok: true, result: outcome.glob } : outcome;
});

export const bool = value(choice(['true', 'false'])).transform((word) => word === 'true');
/** What somebody calls a thing. */
export const name = parsed('a name', (text) =>
  text === '' || text.length > 100
    ? { ok: false, problem: 'a name has from 1 to 100 characters' }
    : { ok: true, result: text },
);

function textOf(given: unknown): string | undefined {
  if (typeof given === 'string') return given;
  return typeof given === 'number' || typeof given === 'boolean' ? String(given) : undefined;
}

function problemWithoutText(given: unknown): string {
  return given === null ? 'has no value' : 'is a single value, not a list or a group';
}

import type { z } from 'zod';

/** What is wrong with what was given, a line each: `rules[1].selection.countNumber: …`. */
export function problemsOf(error: z.ZodError): readonly string[] {
  return error.issues.map(({ path, message }) => {
    const text = path.reduce<string>(
      (before, part) =>
        typeof part === 'number' ? `${before}[${part}]` : `${before}${before === '' ? '' : '.'}${String(part)}`,
      '',
    );
    return text === '' ? message : `${text}: ${message}`;
  });
}

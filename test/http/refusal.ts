import { expect } from 'bun:test';
import { z } from 'zod';

const refusalSchema = z.object({
  errors: z.tuple([
    z.object({ code: z.string(), message: z.string().min(1), detail: z.record(z.string(), z.unknown()) }),
  ]),
});

/**
 * Expects an answer to be a refusal in the specification's shape ("Error Codes").
 *
 * @returns its one error
 */
export async function expectRefusal(
  answer: Response,
  status: number,
  code: string,
): Promise<{ readonly code: string; readonly message: string; readonly detail: Readonly<Record<string, unknown>> }> {
  const text = await answer.text();
  expect(`${answer.status} ${text}`).toMatch(new RegExp(`^${status} .*"${code}"`));
  expect(answer.headers.get('content-type')).toStartWith('application/json');
  const [error] = refusalSchema.parse(JSON.parse(text)).errors;
  expect(error.code).toBe(code);
  return error;
}

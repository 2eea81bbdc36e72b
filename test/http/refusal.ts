import { expect } from 'bun:test';
import { z } from 'zod';

/** The specification's table ("Error Codes"): no other may be in a refusal of a request. */
export const tableCodes: ReadonlySet<string> = new Set([
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
]);

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
  if (status < 500) expect(tableCodes).toContain(code);
  return error;
}

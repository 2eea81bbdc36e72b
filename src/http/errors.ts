import { z } from 'zod';

/**
 * The specification's error codes ("Error Codes"), and the status with which each is answered unless a handler has a
 * better one. `code` "MUST be one of" its table, so every refusal of a request has one of these; where none was made for
 * the case, it is the nearest one with the status that HTTP has for it, as clients decide by the status and show the code:
 *
 * - 416 for a chunk out of order is BLOB_UPLOAD_INVALID, for a range that the blob does not have SIZE_INVALID;
 * - 412 for a condition that is not met and 409 for a manifest that an index lists are DENIED: things as they stand do
 *   not allow it, though the request is well formed;
 * - 404 for a path that is none of the API's is UNSUPPORTED, as NAME_UNKNOWN would tell of a repository; so is 400 for a
 *   length of page that is no number.
 *
 * Those below the line are for failures of the registry itself (5xx), which the table does not know.
 */
export const statusOfCode = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  // ---
  UNAVAILABLE: 503,
  STORAGE_FULL: 507,
  INTERNAL: 500,
} as const;

export type ErrorCode = keyof typeof statusOfCode;

/** One error as a client sees it: a message that a person can act on, and the facts in `detail`. */
export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail?: Readonly<Record<string, unknown>>;
  /** Where the code's own status does not fit. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How the specification shapes errors. */
export const errors = z.object({
  errors: z.array(z.object({ code: z.string(), message: z.string(), detail: z.record(z.string(), z.unknown()) })),
});

/** An error as the specification shapes it. */
export function errorsOf({ code, message, detail = {} }: Problem): z.input<typeof errors> {
  return { errors: [{ code, message, detail }] };
}

/** The body of an error answer. */
export function errorBody(problem: Problem): string {
  return JSON.stringify(errorsOf(problem));
}

/**
 * The specification's error codes ("Error Codes"), and the status with which each is answered unless a handler has a
 * better one. Those below the line are not in the specification's table; clients show them like the others.
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
  RANGE_INVALID: 416,
  PAGINATION_NUMBER_INVALID: 400,
  NOT_FOUND: 404,
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

/** The body of an error answer, as the specification shapes it. */
export function errorBody(problem: Problem): string {
  return JSON.stringify({
    errors: [{ code: problem.code, message: problem.message, detail: problem.detail ?? {} }],
  });
}

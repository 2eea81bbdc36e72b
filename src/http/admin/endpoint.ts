import { z } from 'zod';
import { parseTarget, type Target } from '../../oci/target.ts';
import { readBounded } from '../bounded-body.ts';
import { answerJson, type Call, refuse } from '../call.ts';
import type { Problem } from '../errors.ts';

/** The collector of this process, where there is one. */
export interface CollectorControl {
  readonly isPaused: boolean;
  pause(): void;
  resume(): void;
}

/** What the admin API needs to know of the server that it is part of. */
export interface AdminParts {
  /** Undefined where no server runs, and a command has opened the stores by itself. */
  readonly collector: CollectorControl | undefined;
  /** What a request has to know to be answered. */
  readonly token: string;
}

export interface AdminCall extends Call {
  readonly admin: AdminParts;
}

/** What a handler comes to. */
export type Outcome<Answer> = { readonly answer: Answer } | { readonly problem: Problem };

/** One endpoint: what it takes and gives, which its description is made of too, and what it does. */
interface Definition<Query extends z.ZodType, Body extends z.ZodType, Answer extends z.ZodType> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Under /admin/v1. */
  readonly path: string;
  readonly summary: string;
  readonly query: Query;
  readonly body: Body;
  readonly answer: Answer;
  handle(
    call: AdminCall,
    input: { readonly query: z.output<Query>; readonly body: z.output<Body> },
  ): Promise<Outcome<z.input<Answer>>>;
}

export interface Endpoint<Answer extends z.ZodType = z.ZodType> extends Omit<
  Definition<z.ZodType, z.ZodType, Answer>,
  'handle'
> {
  respond(call: AdminCall): Promise<Response>;
}

/** A body larger than this is none of ours, in bytes. */
const maxBodyBytes = 64 * 1024;

/** No parameters, or no body. */
export const nothing = z.strictObject({});

/** Defines an endpoint; what it takes is parsed before its handler sees it. */
export function endpoint<Query extends z.ZodType, Body extends z.ZodType, Answer extends z.ZodType>(
  definition: Definition<Query, Body, Answer>,
): Endpoint<Answer> {
  const { method, path, summary, query, body, answer } = definition;
  return {
    method,
    path,
    summary,
    query,
    body,
    answer,
    async respond(call) {
      const parameters = query.safeParse(Object.fromEntries(new URLSearchParams(call.queryText)));
      if (!parameters.success) return refuse(call, invalid(parameters.error));
      const json = await bodyOf(call.request);
      if (json === undefined) return refuse(call, invalid('the body is not JSON, or is too large'));
      const content = body.safeParse(json.value);
      if (!content.success) return refuse(call, invalid(content.error));
      const outcome = await definition.handle(call, { query: parameters.data, body: content.data });
      return 'problem' in outcome ? refuse(call, outcome.problem) : answerJson(call, outcome.answer);
    },
  };
}

/** What a request carries; no body is an empty object. */
async function bodyOf(request: Request): Promise<{ readonly value: unknown } | undefined> {
  const bytes = await readBounded(request, maxBodyBytes);
  if (bytes === undefined) return undefined;
  if (bytes.byteLength === 0) return { value: {} };
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch {
    return undefined;
  }
}

function invalid(error: z.ZodError | string): Problem {
  const message =
    typeof error === 'string'
      ? error
      : error.issues
          .map(({ path, message: text }) => (path.length === 0 ? text : `${path.join('.')}: ${text}`))
          .join('; ');
  return { code: 'UNSUPPORTED', status: 400, message };
}

/** `REPO`, `REPO:TAG`, `REPO@DIGEST` or `REPO:TAG@DIGEST`. */
export const target = z
  .string()
  .meta({ description: 'REPO, REPO:TAG, REPO@DIGEST or REPO:TAG@DIGEST' })
  .transform((text, context): Target => {
    const parsed = parseTarget(text);
    if (parsed.ok) return parsed.target;
    context.addIssue({ code: 'custom', message: parsed.message });
    return z.NEVER;
  });

/** How many items a page has at most. */
export const pageLength = z.coerce.number<string>().int().min(1).max(1000).default(100);

/** A time in ISO 8601. */
export const time = z.iso.datetime();

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

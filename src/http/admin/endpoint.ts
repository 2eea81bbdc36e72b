import { z } from 'zod';
import type { Action } from '../../access/action.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { parseTarget, type Target, targetPattern } from '../../oci/target.ts';
import type { LayerReaders } from '../../find/layer-reader.ts';
import type { EventFeed } from '../../audit/event-feed.ts';
import type { Pruner } from '../../pruning/pruner.ts';
import type { StorageReport } from '../../bounds/report.ts';
import type { PolicySetResult } from '../../retention/policy-set.ts';
import { readBounded } from '../bounded-body.ts';
import { answerJson, type Call, refuse } from '../call.ts';
import { hasNul } from '../../nul.ts';
import { denial, tokenNeeded } from '../denials.ts';
import type { Problem } from '../errors.ts';
import type { Checks } from './checks.ts';
import { answerInLines, linesMediaType, type Progress, untilAnswered } from './lines.ts';

/** The collector of this process, where there is one. */
export interface CollectorControl {
  /** Whether the process that answers collects; if not, others do. */
  readonly isRun: boolean;
  readonly isPaused: boolean;
  /** Nothing is collected, paused or not, since the database is older than the blobs. */
  readonly isDatabaseOutdated: boolean;
  pause(): void;
  resume(): void;
}

/** What the admin API needs to know of the server that it is part of. */
export interface AdminParts {
  /** Undefined where no server runs, and a command has opened the stores by itself. */
  readonly collector: CollectorControl | undefined;
  /** Undefined where no server runs: the command checks by itself. */
  readonly checks: Checks | undefined;
  /** What looks into layers. */
  readonly layers: LayerReaders;
  /** Tells of what happens; undefined where no server runs. */
  readonly events: EventFeed | undefined;
  /** What carries out the policies; undefined where there are none, or no server runs. */
  readonly pruner: Pruner | undefined;
  /** The retention policies that the registry has been given; undefined where there are none. */
  readonly policies: () => Promise<PolicySetResult | undefined>;
  /** How the disk and what is stored stand. */
  readonly storage: (onProgress: (progress: Progress) => void) => Promise<StorageReport>;
}

export interface AdminCall extends Call {
  readonly admin: AdminParts;
}

/** What a handler comes to. */
export type Outcome<Answer> = { readonly answer: Answer } | { readonly problem: Problem };

/** What an endpoint takes, which its description is made of too. */
interface Taken<Query extends z.ZodType, Body extends z.ZodType> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Under /admin/v1. */
  readonly path: string;
  /** What whoever asks has to be allowed: in the repository that it is about, or in every one. */
  readonly action: Action;
  /** The repository that a request is about; left out where it is about more. */
  readonly repositoryOf?: (input: Input<Query, Body>) => RepositoryName;
  readonly summary: string;
  /** With which statuses it is refused beside those with which every request may be; 404 is for what it names. */
  readonly refusals?: readonly (404 | 409)[];
  readonly query: Query;
  readonly body: Body;
  /** How large the body may be, in bytes, where that is not what it is for most. */
  readonly maxBodyBytes?: number;
}

/** What a request has brought. */
interface Input<Query extends z.ZodType, Body extends z.ZodType> {
  readonly query: z.output<Query>;
  readonly body: z.output<Body>;
}

interface Definition<Query extends z.ZodType, Body extends z.ZodType, Answer extends z.ZodType> extends Taken<
  Query,
  Body
> {
  readonly answer: Answer;
  /** It may take long: whoever accepts lines is told how far it has come before the answer. */
  readonly isLong?: boolean;
  handle(
    call: AdminCall,
    input: Input<Query, Body>,
    onProgress: (progress: Progress) => void,
  ): Promise<Outcome<z.input<Answer>>>;
}

interface LinesDefinition<Query extends z.ZodType, Body extends z.ZodType, Line extends z.ZodType> extends Taken<
  Query,
  Body
> {
  readonly line: Line;
  handle(
    call: AdminCall,
    input: Input<Query, Body>,
  ): { readonly lines: AsyncGenerator<z.input<Line>, void, undefined> } | { readonly problem: Problem };
}

interface Responding extends Taken<z.ZodType, z.ZodType> {
  respond(call: AdminCall): Promise<Response>;
}

/** An endpoint that gives one answer. */
export interface Endpoint<Answer extends z.ZodType = z.ZodType> extends Responding {
  readonly answer: Answer;
  readonly isLong: boolean;
}

/** An endpoint that answers in lines of JSON, one for each thing that it has to tell, as it finds it. */
export interface LinesEndpoint<Line extends z.ZodType = z.ZodType> extends Responding {
  readonly line: Line;
}

/** A body larger than this is none of ours, in bytes, unless the endpoint says otherwise. */
const usualBodyBytes = 64 * 1024;

/** No parameters, or no body. */
export const nothing = z.strictObject({});

/** Defines an endpoint; what it takes is parsed before its handler sees it. */
export function endpoint<Query extends z.ZodType, Body extends z.ZodType, Answer extends z.ZodType>(
  definition: Definition<Query, Body, Answer>,
): Endpoint<Answer> {
  const { method, path, action, summary, refusals = [], query, body, answer, isLong = false } = definition;
  return {
    method,
    path,
    action,
    summary,
    refusals,
    query,
    body,
    answer,
    isLong,
    async respond(call) {
      const parsed = await parseAllowed(call, definition);
      if ('problem' in parsed) return refuse(call, parsed.problem);
      if (isLong && (call.request.headers.get('accept') ?? '').includes(linesMediaType)) {
        return answerInLines(
          call,
          untilAnswered((onProgress) => definition.handle(call, parsed, onProgress)),
        );
      }
      const outcome = await definition.handle(call, parsed, () => undefined);
      return 'problem' in outcome ? refuse(call, outcome.problem) : answerJson(call, outcome.answer);
    },
  };
}

/** The same for one that answers in lines. */
export function linesEndpoint<Query extends z.ZodType, Body extends z.ZodType, Line extends z.ZodType>(
  definition: LinesDefinition<Query, Body, Line>,
): LinesEndpoint<Line> {
  const { method, path, action, summary, refusals = [], query, body, line } = definition;
  return {
    method,
    path,
    action,
    summary,
    refusals,
    query,
    body,
    line,
    async respond(call) {
      const parsed = await parseAllowed(call, definition);
      if ('problem' in parsed) return refuse(call, parsed.problem);
      const begun = definition.handle(call, parsed);
      return 'problem' in begun ? refuse(call, begun.problem) : answerInLines(call, begun.lines);
    },
  };
}

/** What a request has brought that may be answered. Who may do nothing of the kind is not even told what is wrong with it. */
async function parseAllowed<Query extends z.ZodType, Body extends z.ZodType>(
  call: AdminCall,
  taken: Taken<Query, Body>,
): Promise<Input<Query, Body> | { readonly problem: Problem }> {
  const { action, repositoryOf } = taken;
  const { rights } = call;
  const mayTry = repositoryOf === undefined ? rights.mayEverywhere(action) : rights.maySomewhere(action);
  if (!mayTry) return { problem: adminDenial(call, action) };
  const parsed = await parse(call, taken);
  if ('problem' in parsed || repositoryOf === undefined) return parsed;
  const repo = repositoryOf(parsed);
  return rights.may(action, repo) ? parsed : { problem: denial(call, action, repo) };
}

/** The token of the run is how to get in where nobody can log in. */
export function adminDenial(call: Call, action: Action): Problem {
  if (call.identity.kind !== 'anonymous' || call.access.canLogIn) return denial(call, action, undefined);
  return tokenNeeded;
}

async function parse<Query extends z.ZodType, Body extends z.ZodType>(
  call: AdminCall,
  { query, body, maxBodyBytes = usualBodyBytes }: Taken<Query, Body>,
): Promise<Input<Query, Body> | { readonly problem: Problem }> {
  const given = Object.fromEntries(new URLSearchParams(call.queryText));
  if (hasNulWithin(given)) return { problem: invalid(nulMessage) };
  const parameters = query.safeParse(given);
  if (!parameters.success) return { problem: invalid(parameters.error) };
  const json = await bodyOf(call.request, maxBodyBytes);
  if (json === undefined) return { problem: invalid('the body is not JSON, or is too large') };
  if (hasNulWithin(json.value)) return { problem: invalid(nulMessage) };
  const content = body.safeParse(json.value);
  if (!content.success) return { problem: invalid(content.error) };
  return { query: parameters.data, body: content.data };
}

const nulMessage = 'a text has a NUL character in it, which not every database keeps: leave it out';

function hasNulWithin(value: unknown): boolean {
  if (typeof value === 'string') return hasNul(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some((entry) => entry.some(hasNulWithin));
}

/** What a request carries; no body is an empty object. */
async function bodyOf(request: Request, maxBodyBytes: number): Promise<{ readonly value: unknown } | undefined> {
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
  .meta({ description: 'REPO, REPO:TAG, REPO@DIGEST or REPO:TAG@DIGEST', pattern: targetPattern })
  .transform((text, context): Target => {
    const parsed = parseTarget(text);
    if (parsed.ok) return parsed.target;
    context.addIssue({ code: 'custom', message: parsed.message });
    return z.NEVER;
  });

/** Characters of a reason, at most. */
export const longestReason = 500;
export const tooLongReason = `the reason is too long: ${longestReason} characters at most`;

/** Why somebody does something, in words; without the blanks around them. */
export function reasonText(message = 'say why') {
  return z.string(message).max(longestReason, tooLongReason).regex(/\S/, message).trim();
}

/** How many items a page has at most. */
export const pageLength = z.coerce.number<string>().int().min(1).max(1000).default(100);

/** A time in ISO 8601. */
export const time = z.iso.datetime();

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

import type { AccessControl } from '../access/access-control.ts';
import type { Identity } from '../access/identity.ts';
import type { Rights } from '../access/rights.ts';
import type { Action } from '../access/action.ts';
import type { Actor } from '../registry/actor.ts';
import type { Purged } from '../registry/purges/purged.ts';
import type { Registry } from '../registry/registry.ts';
import type { SentContent } from '../registry/responses.ts';
import type { SessionLimit } from '../registry/uploads/open.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import { errorBody, type Problem, statusOfCode } from './errors.ts';
import type { Redirects } from './redirects.ts';

/** What the handlers need to know of the server that they answer for. */
export interface ServerSettings {
  readonly maxManifestBytes: number;
  readonly location: 'relative' | 'absolute';
  readonly redirects: Redirects;
}

/** One request on its way to its answer. */
export interface Call {
  readonly registry: Registry;
  readonly settings: ServerSettings;
  readonly request: Request;
  /** Who asks, as far as it is proven. */
  readonly identity: Identity;
  /** What whoever asks may do. */
  readonly rights: Rights;
  readonly access: AccessControl;
  /** Names the request in the log and in the answer's X-Request-Id. */
  readonly requestId: string;
  /** The request's query string without its question mark; empty where there is none. */
  readonly queryText: string;
  /** Scheme and host as the client sees them, for absolute locations. */
  origin(): string;
  /** Where the client is; undefined once it has gone. */
  address(): string | undefined;
  /** On whose word it changes something, for the log of what happened. */
  actor(): Actor;
  /** To be told of the bytes of the request's body as they come; undefined where nobody counts them. */
  readonly onReceived: ((bytes: number) => void) | undefined;
  /** Whose upload sessions are counted; undefined where nobody's are. */
  sessionLimit(): SessionLimit | undefined;
  /** Has it written down that it may not do something, and why. */
  noteDenial(action: Action, repo: RepositoryName | undefined, reason: string, tag?: TagName): void;
  /** Has it written down that what it has pushed is kept out. */
  noteKeptOut(repo: RepositoryName, purged: Purged): void;
  /**
   * The answer sends the bytes of a blob or a manifest, and can be broken off when that is purged. False where that has
   * happened since it was found, so that it must not be given.
   */
  sends(sent: SentContent): boolean;
  /** Gives the answer more time than an idle connection has. */
  allowSlowAnswer(): void;
}

const fixedHeaders = { 'docker-distribution-api-version': 'registry/2.0', 'x-content-type-options': 'nosniff' };

/** What every answer carries. */
function baseHeaders(call: Pick<Call, 'requestId'>): Record<string, string> {
  return { ...fixedHeaders, 'x-request-id': call.requestId };
}

/** The headers of an answer that is given again and again, all but the request's own: making them is half its work. */
export function preparedHeaders(headers: Readonly<Record<string, string>>): Headers {
  return new Headers({ ...fixedHeaders, ...headers });
}

/** An answer 200 with headers that were made before. */
export function answerPrepared(call: Call, prepared: Headers, body: Uint8Array): Response {
  const response = new Response(body, { headers: prepared });
  response.headers.set('x-request-id', call.requestId);
  return response;
}

/** An answer; a body is sent only where the method allows one. */
export function answer(
  call: Call,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array | Blob | ReadableStream<Uint8Array> | null = null,
): Response {
  return new Response(body, { status, headers: { ...baseHeaders(call), ...headers } });
}

export function answerJson(call: Call, body: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return answer(call, 200, { 'content-type': 'application/json', ...headers }, JSON.stringify(body));
}

/** An error answer in the specification's shape. */
export function refuse(call: Pick<Call, 'requestId'>, problem: Problem): Response {
  return new Response(errorBody(problem), {
    status: problem.status ?? statusOfCode[problem.code],
    headers: { ...baseHeaders(call), 'content-type': 'application/json', ...problem.headers },
  });
}

/** The URL of something in the registry, relative or absolute as configured. */
export function locationOf(call: Call, path: string): string {
  return call.settings.location === 'relative' ? path : call.origin() + path;
}

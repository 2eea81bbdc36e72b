import { type Digest, type DigestAlgorithm, isDigestAlgorithm, parseDigest } from '../../oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../../oci/names.ts';
import { mountBlob } from '../../registry/mount.ts';
import { appendToUpload } from '../../registry/uploads/append.ts';
import { type CloseOutcome, closeUpload } from '../../registry/uploads/close.ts';
import { admitUpload } from '../../registry/quota-admission.ts';
import { openCountedUpload, openUpload } from '../../registry/uploads/open.ts';
import type { Chunk } from '../../registry/uploads/request.ts';
import { cancelUpload, uploadStatus } from '../../registry/uploads/status.ts';
import type { QuotaWarning } from '../../registry/quotas.ts';
import { pushWholeBlob } from '../../registry/uploads/whole.ts';
import { answer, type Call, locationOf, refuse } from '../call.ts';
import { mountDenial } from '../denials.ts';
import type { Problem } from '../errors.ts';
import { countedBody } from '../limits/counted-body.ts';
import { parseContentRange } from '../range.ts';
import { malformedDigest } from './blobs.ts';
import { pushedProblem } from '../purged.ts';
import { overQuotaProblem, seesQuotaOf, warningHeaders } from './quotas.ts';
import { noRoomProblem } from './no-room.ts';
import { sightOf } from './sight.ts';

/**
 * `POST /v2/<name>/blobs/uploads/`: opens a session (end-4a, end-4c), takes a whole blob (end-4b), or mounts one from
 * another repository (end-11).
 */
export async function startUpload(call: Call, repo: RepositoryName): Promise<Response> {
  const query = new URLSearchParams(call.queryText);
  const mount = query.get('mount');
  if (mount !== null) {
    const mounted = await tryMount(call, repo, mount, query.get('from'));
    if (mounted !== undefined) return mounted;
  }
  const algorithm = query.get('digest-algorithm') ?? 'sha256';
  if (!isDigestAlgorithm(algorithm)) {
    return refuse(call, {
      code: 'DIGEST_INVALID',
      message: `"${algorithm.slice(0, 50)}" is not a supported digest algorithm: use sha256 or sha512`,
      detail: { 'digest-algorithm': algorithm.slice(0, 50) },
    });
  }
  const digestText = query.get('digest');
  if (mount === null && digestText !== null) return await pushWhole(call, repo, digestText);
  return await openSession(call, repo, algorithm);
}

/** What is known of the blob may tell that it does not fit into a quota, before any of it is sent. */
async function openSession(
  call: Call,
  repo: RepositoryName,
  algorithm: DigestAlgorithm,
  digest?: Digest,
): Promise<Response> {
  const blob =
    digest === undefined ? undefined : { digest, sizeBytes: undefined, showsOthers: seesQuotaOf(call, repo) };
  const admission = await admitUpload(call.registry, { repo, blob });
  if (admission.outcome === 'over-quota') return refuse(call, overQuotaProblem(call, repo, admission.over));
  const room = await call.registry.room.admit(undefined);
  if ('noRoom' in room) return refuse(call, noRoomProblem(room.noRoom));
  room.incoming.end();
  const sessionLimit = call.sessionLimit();
  const id =
    sessionLimit === undefined
      ? await openUpload(call.registry, repo, algorithm)
      : await openCountedUpload(call.registry, { repo, algorithm }, sessionLimit);
  if (id === undefined) return refuse(call, tooManySessions(sessionLimit?.most ?? 0));
  return answer(call, 202, { ...sessionHeaders(call, repo, id, 0), ...warningHeaders(call, repo, admission.warnings) });
}

/**
 * Undefined where it cannot be done: the client then gets a session, not an error (containerd and others count on it).
 * Only what is no digest is refused, as an upload under it could not succeed either.
 */
async function tryMount(
  call: Call,
  repo: RepositoryName,
  digestText: string,
  fromText: string | null,
): Promise<Response | undefined> {
  const digest = parseDigest(digestText);
  if (digest === undefined) return refuse(call, malformedDigest(digestText));
  const from = fromText === null ? undefined : parseRepositoryName(fromText);
  if (fromText !== null && from === undefined) return undefined;
  if (from !== undefined && call.rights.needsWiderToken('pull', from))
    return refuse(call, mountDenial(call, repo, from));
  const mounted = await mountBlob(call.registry, {
    repo,
    digest,
    from,
    actor: call.actor(),
    ...(call.rights.mayEverywhere('pull') ? {} : { sight: sightOf(call.rights) }),
  });
  switch (mounted.outcome) {
    case 'admitted':
      return created(call, repo, digest, mounted.warnings);
    case 'over-quota':
      return refuse(call, overQuotaProblem(call, repo, mounted.over));
    case 'blocked':
      call.noteKeptOut(repo, mounted.purged);
      return refuse(call, await pushedProblem(call, repo, mounted.purged));
    case 'impossible':
      return undefined;
  }
}

async function pushWhole(call: Call, repo: RepositoryName, digestText: string): Promise<Response> {
  const digest = parseDigest(digestText);
  if (digest === undefined) return refuse(call, malformedDigest(digestText));
  const chunk = chunkOf(call);
  if ('code' in chunk) return refuse(call, chunk);
  if (chunk.body === null) {
    // A client that names the digest without sending the blob wants a session.
    return await openSession(call, repo, 'sha256', digest);
  }
  const showsOthers = seesQuotaOf(call, repo);
  const blob = { digest, sizeBytes: chunk.lengthBytes, showsOthers };
  const admission = await admitUpload(call.registry, { repo, blob });
  if (admission.outcome === 'over-quota') return refuse(call, overQuotaProblem(call, repo, admission.over));
  const room = await call.registry.room.admit(chunk.lengthBytes);
  if ('noRoom' in room) return refuse(call, noRoomProblem(room.noRoom, chunk.lengthBytes));
  const { incoming } = room;
  call.allowSlowAnswer();
  try {
    const pushed = await pushWholeBlob(call.registry, {
      repo,
      digest,
      actor: call.actor(),
      showsOthers,
      ...chunk,
      incoming,
    });
    return await closed(call, repo, digest, pushed, wholeProblem);
  } finally {
    incoming.end();
  }
}

/** `PATCH <session>` (end-5): a chunk, or a stream of unknown length. */
export async function appendChunk(call: Call, repo: RepositoryName, id: string): Promise<Response> {
  const chunk = chunkOf(call);
  if ('code' in chunk) return refuse(call, chunk);
  const appended = await appendToUpload(call.registry, { repo, id, ...chunk, isLast: false });
  switch (appended.outcome) {
    case 'appended':
      return answer(call, 202, sessionHeaders(call, repo, id, appended.offsetBytes));
    case 'done':
      return refuse(call, uploadUnknown(id));
    default:
      return refuse(call, appendProblem(call, repo, id, appended));
  }
}

/** `PUT <session>?digest=<digest>` (end-6): closes a session, with or without a last chunk. */
export async function finishUpload(call: Call, repo: RepositoryName, id: string): Promise<Response> {
  const digestText = new URLSearchParams(call.queryText).get('digest');
  if (digestText === null) {
    return refuse(call, {
      code: 'DIGEST_INVALID',
      message: "the closing PUT must name the blob's digest: add ?digest=sha256:… to its URL",
      detail: { upload: id.slice(0, 200), missing: 'digest' },
    });
  }
  const digest = parseDigest(digestText);
  if (digest === undefined) return refuse(call, malformedDigest(digestText));
  const chunk = chunkOf(call);
  if ('code' in chunk) return refuse(call, chunk);
  call.allowSlowAnswer();
  const outcome = await closeUpload(call.registry, {
    repo,
    id,
    digest,
    actor: call.actor(),
    showsOthers: seesQuotaOf(call, repo),
    ...chunk,
  });
  return await closed(call, repo, digest, outcome, (failure) => appendProblem(call, repo, id, failure));
}

/** `GET <session>` (end-13): how far the session has come. */
export async function getUpload(call: Call, repo: RepositoryName, id: string): Promise<Response> {
  const status = await uploadStatus(call.registry, repo, id);
  return status.outcome === 'open'
    ? answer(call, 204, sessionHeaders(call, repo, id, status.offsetBytes))
    : refuse(call, uploadUnknown(id));
}

/** `DELETE <session>` (end-14): gives it up. */
export async function abandonUpload(call: Call, repo: RepositoryName, id: string): Promise<Response> {
  const { outcome } = await cancelUpload(call.registry, repo, id);
  return outcome === 'cancelled' ? answer(call, 204, {}) : refuse(call, uploadUnknown(id));
}

async function closed(
  call: Call,
  repo: RepositoryName,
  digest: Digest,
  outcome: CloseOutcome,
  problemOf: (failure: AppendFailure) => Problem,
): Promise<Response> {
  switch (outcome.outcome) {
    case 'created':
      return created(call, repo, digest, outcome.warnings);
    case 'over-quota':
      return refuse(call, overQuotaProblem(call, repo, outcome.over));
    case 'digest-mismatch':
      return refuse(call, {
        code: 'DIGEST_INVALID',
        message: `the ${outcome.sizeBytes} bytes received are ${outcome.actual}, not ${digest}: they were dropped, push the blob again`,
        detail: { expected: digest, actual: outcome.actual, sizeBytes: outcome.sizeBytes },
      });
    case 'blocked':
      call.noteKeptOut(repo, outcome.purged);
      return refuse(call, await pushedProblem(call, repo, outcome.purged));
    default:
      return refuse(call, problemOf(outcome));
  }
}

type AppendFailure = Exclude<
  CloseOutcome,
  | { readonly outcome: 'created' | 'over-quota' }
  | { readonly outcome: 'digest-mismatch' }
  | { readonly outcome: 'blocked' }
>;

function appendProblem(call: Call, repo: RepositoryName, id: string, failure: AppendFailure): Problem {
  switch (failure.outcome) {
    case 'unknown':
      return uploadUnknown(id);
    case 'out-of-order':
      return {
        code: 'BLOB_UPLOAD_INVALID',
        status: 416,
        message: `the chunk is out of order: the session goes on at byte ${failure.offsetBytes}`,
        detail: { upload: id, offset: failure.offsetBytes },
        headers: sessionHeaders(call, repo, id, failure.offsetBytes),
      };
    case 'superseded':
      return {
        code: 'BLOB_UPLOAD_INVALID',
        status: 416,
        message: `another request has taken the session over; ask it for its status, it goes on from there`,
        detail: { upload: id, offset: failure.offsetBytes },
        headers: sessionHeaders(call, repo, id, failure.offsetBytes),
      };
    case 'length-mismatch':
      return {
        code: 'SIZE_INVALID',
        message: `the request announced ${failure.expectedBytes} bytes and brought ${failure.receivedBytes}`,
        detail: { upload: id, expected: failure.expectedBytes, received: failure.receivedBytes },
      };
    case 'interrupted':
      return {
        code: 'BLOB_UPLOAD_INVALID',
        message: `the connection broke; the session goes on at byte ${failure.offsetBytes}`,
        detail: { upload: id, offset: failure.offsetBytes },
      };
    case 'full':
      return {
        code: 'STORAGE_FULL',
        message: `the registry's disk is full; the upload can go on at byte ${failure.offsetBytes} once there is room`,
        detail: { upload: id, offset: failure.offsetBytes },
        headers: sessionHeaders(call, repo, id, failure.offsetBytes),
      };
  }
}

/** Why a single POST failed: of its session nothing is left to go on with. */
function wholeProblem(failure: AppendFailure): Problem {
  switch (failure.outcome) {
    case 'length-mismatch':
      return {
        code: 'SIZE_INVALID',
        message: `the request announced ${failure.expectedBytes} bytes and brought ${failure.receivedBytes}: push the blob again`,
        detail: { expected: failure.expectedBytes, received: failure.receivedBytes },
      };
    case 'full':
      return {
        code: 'STORAGE_FULL',
        message: "the registry's disk is full, and nothing of the blob was kept: push it again once there is room",
      };
    case 'interrupted':
      return {
        code: 'BLOB_UPLOAD_INVALID',
        message: 'the connection broke, and nothing of the blob was kept: push it again',
      };
    case 'out-of-order':
      return {
        code: 'BLOB_UPLOAD_INVALID',
        status: 416,
        message: 'a blob that is pushed with a single request begins at byte 0: leave Content-Range out',
      };
    case 'unknown':
    case 'superseded':
      return {
        code: 'BLOB_UPLOAD_INVALID',
        message: 'the upload was ended meanwhile, and nothing was kept: push the blob again',
      };
  }
}

/** When one of them ends by itself is not known: a client that has lost its sessions looks once a minute. */
function tooManySessions(most: number): Problem {
  return {
    code: 'TOOMANYREQUESTS',
    message: `this client has ${most} upload sessions open (limits.uploadSessionsPerClient): finish or cancel some first`,
    detail: { setting: 'limits.uploadSessionsPerClient', most },
    headers: { 'retry-after': '60' },
  };
}

/** Whether a text may be the name of an upload session. */
export function isUploadId(text: string): boolean {
  return /^[0-9a-zA-Z-]{1,100}$/.test(text);
}

export function uploadUnknown(id: string): Problem {
  return {
    code: 'BLOB_UPLOAD_UNKNOWN',
    message: 'there is no such upload session (it may have ended, been cancelled or timed out): start a new one',
    detail: { upload: id.slice(0, 200) },
  };
}

function created(call: Call, repo: RepositoryName, digest: Digest, warnings: readonly QuotaWarning[]): Response {
  return answer(call, 201, {
    location: locationOf(call, `/v2/${repo}/blobs/${digest}`),
    'docker-content-digest': digest,
    ...warningHeaders(call, repo, warnings),
  });
}

/** An empty session's range is written `0-0`, as clients have come to expect. */
function sessionHeaders(call: Call, repo: RepositoryName, id: string, offsetBytes: number): Record<string, string> {
  return {
    location: locationOf(call, `/v2/${repo}/blobs/uploads/${id}`),
    range: `0-${Math.max(offsetBytes - 1, 0)}`,
    'docker-upload-uuid': id,
  };
}

function chunkOf({ request, onReceived }: Call): Chunk | Problem {
  const contentRange = parseContentRange(request.headers.get('content-range'));
  if (contentRange.kind === 'malformed') {
    return {
      code: 'BLOB_UPLOAD_INVALID',
      message: 'Content-Range must be FIRST-LAST, both positions included, such as 0-1048575',
      detail: { 'content-range': request.headers.get('content-range')?.slice(0, 100) },
    };
  }
  const length = request.headers.get('content-length');
  return {
    body: length === '0' ? null : countedBody(request.body, onReceived),
    range: contentRange.kind === 'range' ? contentRange.range : undefined,
    lengthBytes: length === null ? undefined : Number(length),
  };
}

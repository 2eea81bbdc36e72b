import { identityText } from '../../access/identity.ts';
import type { Digest } from '../../oci/digest.ts';
import { describeTagNameProblem, parseTagName, type RepositoryName, type TagName } from '../../oci/names.ts';
import { parseReference, type Reference } from '../../oci/reference.ts';
import { deleteManifest, removeTag } from '../../registry/manifests/delete.ts';
import { getManifest, headManifestForPull, headManifestForPush, whyNoManifest } from '../../registry/manifests/get.ts';
import { putManifest, type PutManifestOutcome } from '../../registry/manifests/put.ts';
import type { ImmutabilityRefusal } from '../../registry/immutability.ts';
import { type Pin, pinTargetText } from '../../registry/pin.ts';
import type { PreconditionFailure } from '../../registry/precondition.ts';
import type { FoundManifest } from '../../registry/manifests/recent.ts';
import { readBounded } from '../bounded-body.ts';
import { RequestPuller } from '../request-puller.ts';
import { answer, answerPrepared, type Call, locationOf, preparedHeaders, refuse } from '../call.ts';
import { entityTagOf, matchesEntity, preconditionOf } from '../conditions.ts';
import { denial } from '../denials.ts';
import type { Problem } from '../errors.ts';
import { pushedProblem, quarantineProblem, toldOfPurge } from '../purged.ts';
import { overQuotaProblem, warningHeaders } from './quotas.ts';

/** More `tag` parameters than this are refused with 414; the specification asks for at least 10. */
const maxTagParameters = 100;

/** A manifest that is smaller leaves at once, and to note each would cost more than to send it. */
const notedFromBytes = 64 * 1024;

/** `GET /v2/<name>/manifests/<reference>` (end-3). */
export async function getManifestOf(call: Call, repo: RepositoryName, referenceText: string): Promise<Response> {
  const parsed = parseReference(referenceText);
  if (!parsed.ok) return refuse(call, malformedReference(referenceText, parsed));
  const found = await getManifest(call.registry, repo, parsed.reference, new RequestPuller(call));
  if (found === undefined) return await refuseMissing(call, repo, parsed.reference);
  if (matchesEntity(call.request, entityTagOf(found.digest))) {
    return answer(call, 304, manifestHeaders(found.digest, found.mediaType));
  }
  // One that is purged from here on is broken off.
  const isSent = found.bytes.byteLength < notedFromBytes || call.sends({ oid: undefined, digest: found.digest });
  if (!isSent) return await refuseMissing(call, repo, parsed.reference);
  return answerPrepared(call, headersOf(found), found.bytes);
}

/** Tells of a purge where that is why there is no manifest. */
async function refuseMissing(call: Call, repo: RepositoryName, reference: Reference): Promise<Response> {
  const purged = await whyNoManifest(call.registry, repo, reference);
  if (purged === undefined) return refuse(call, manifestUnknown(repo, reference));
  const whole = quarantineProblem(purged, `${nameOf(reference)} of ${repo}`);
  return refuse(call, (await toldOfPurge(call, repo, purged, whole)) ?? manifestUnknown(repo, reference));
}

/** Those of manifests that are pulled time and again, as long as the registry remembers them. */
const headersOfFound = new WeakMap<FoundManifest, Headers>();

function headersOf(found: FoundManifest): Headers {
  const known = headersOfFound.get(found);
  if (known !== undefined) return known;
  const headers = preparedHeaders(manifestHeaders(found.digest, found.mediaType));
  headersOfFound.set(found, headers);
  return headers;
}

/** `HEAD /v2/<name>/manifests/<reference>` (end-3). */
export async function headManifest(call: Call, repo: RepositoryName, referenceText: string): Promise<Response> {
  const parsed = parseReference(referenceText);
  if (!parsed.ok) return refuse(call, malformedReference(referenceText, parsed));
  // Only who may push builds on the answer.
  const find = call.rights.may('push', repo) ? headManifestForPush : headManifestForPull;
  const found = await find(call.registry, repo, parsed.reference, new RequestPuller(call));
  if (found === undefined) return await refuseMissing(call, repo, parsed.reference);
  const headers = manifestHeaders(found.digest, found.mediaType);
  if (matchesEntity(call.request, headers.etag)) return answer(call, 304, headers);
  return answer(call, 200, { ...headers, 'content-length': String(found.sizeBytes) });
}

/** `PUT /v2/<name>/manifests/<reference>` (end-7a), by digest with `?tag=` parameters (end-7b). */
export async function putManifestOf(call: Call, repo: RepositoryName, referenceText: string): Promise<Response> {
  const parsed = parseReference(referenceText);
  if (!parsed.ok) return refuse(call, malformedReference(referenceText, parsed));
  const tags = tagsOf(call, parsed.reference);
  if ('code' in tags) return refuse(call, tags);
  const maxBytes = call.settings.maxManifestBytes;
  const body = await readBounded(call.request, maxBytes);
  if (body === undefined) {
    return refuse(call, {
      code: 'MANIFEST_INVALID',
      status: 413,
      message: `the manifest is larger than the limit of ${maxBytes} bytes (setting manifests.maxSize)`,
      detail: { limit: maxBytes },
    });
  }
  call.onReceived?.(body.byteLength);
  const outcome = await putManifest(call.registry, {
    repo,
    reference: parsed.reference,
    tags: tags.all,
    precondition: preconditionOf(call.request),
    bytes: body,
    contentType: call.request.headers.get('content-type') ?? undefined,
    mayOverwrite: call.rights.may('tag-overwrite', repo),
    actor: call.actor(),
  });
  if (outcome.outcome === 'overwrite-denied') return refuse(call, overwriteDenial(call, repo, outcome.tag));
  if (outcome.outcome === 'blocked') {
    call.noteKeptOut(repo, outcome.purged);
    return refuse(call, await pushedProblem(call, repo, outcome.purged));
  }
  if (outcome.outcome !== 'created') return refuse(call, putProblem(call, outcome, repo, parsed.reference));
  const headers: Record<string, string> = {
    location: locationOf(call, `/v2/${repo}/manifests/${outcome.digest}`),
    'docker-content-digest': outcome.digest,
    ...warningHeaders(call, repo, outcome.warnings),
  };
  if (tags.parameters.length > 0) headers['oci-tag'] = tags.parameters.join(', ');
  if (outcome.subject !== undefined) headers['oci-subject'] = outcome.subject;
  return answer(call, 201, headers);
}

/** `DELETE /v2/<name>/manifests/<reference>` (end-9): a tag, or a manifest with all its tags. */
export async function deleteManifestOf(call: Call, repo: RepositoryName, referenceText: string): Promise<Response> {
  const parsed = parseReference(referenceText);
  if (!parsed.ok) return refuse(call, malformedReference(referenceText, parsed));
  const { reference } = parsed;
  const precondition = preconditionOf(call.request);
  if (reference.kind === 'tag') {
    const removed = await removeTag(call.registry, repo, reference.tag, precondition, call.actor());
    switch (removed.outcome) {
      case 'deleted':
        return answer(call, 202, {});
      case 'unknown':
        return refuse(call, manifestUnknown(repo, reference));
      case 'pinned':
        return refuse(call, pinProblem(removed.pin));
      case 'immutable':
        return refuse(call, deleteImmutable(call, repo, removed));
      case 'precondition-failed':
        return refuse(call, preconditionProblem(call, repo, reference, removed));
    }
  }
  const deleted = await deleteManifest(call.registry, repo, reference.digest, precondition, call.actor());
  switch (deleted.outcome) {
    case 'deleted':
      return answer(call, 202, { 'docker-content-digest': reference.digest });
    case 'pinned':
      return refuse(call, pinProblem(deleted.pin));
    case 'immutable':
      return refuse(call, deleteImmutable(call, repo, deleted));
    case 'precondition-failed':
      return refuse(call, preconditionProblem(call, repo, reference, deleted));
    case 'unknown':
      return refuse(call, manifestUnknown(repo, reference));
    case 'referenced': {
      const isShown = call.rights.may('pull', repo);
      return refuse(call, {
        code: 'DENIED',
        status: 409,
        message: `the manifest is listed by an index: delete ${isShown ? deleted.indexes.join(', ') : 'that'} first, and it goes with it`,
        detail: { digest: reference.digest, ...(isShown && { indexes: deleted.indexes }) },
      });
    }
  }
}

interface Tags {
  /** Those of the `tag` parameters. */
  readonly parameters: readonly TagName[];
  /** Those and the one in the path. */
  readonly all: readonly TagName[];
}

function tagsOf(call: Call, reference: Reference): Tags | Problem {
  const inPath = reference.kind === 'tag' ? [reference.tag] : [];
  if (call.queryText === '') return { parameters: [], all: inPath };
  const texts = new URLSearchParams(call.queryText).getAll('tag');
  if (texts.length > maxTagParameters) {
    return {
      code: 'MANIFEST_INVALID',
      status: 414,
      message: `a push may set ${maxTagParameters} tags at once; set the rest with further pushes of the same digest`,
      detail: { limit: maxTagParameters, given: texts.length },
    };
  }
  const parameters = new Set<TagName>();
  for (const text of texts) {
    const tag = parseTagName(text);
    if (tag === undefined) {
      return { code: 'MANIFEST_INVALID', message: describeTagNameProblem(text), detail: { tag: text.slice(0, 200) } };
    }
    parameters.add(tag);
  }
  return { parameters: [...parameters], all: [...new Set([...inPath, ...parameters])] };
}

function putProblem(
  call: Call,
  outcome: Exclude<PutManifestOutcome, { readonly outcome: 'created' | 'overwrite-denied' | 'blocked' }>,
  repo: RepositoryName,
  reference: Reference,
): Problem {
  switch (outcome.outcome) {
    case 'precondition-failed':
      return preconditionProblem(call, repo, reference, outcome);
    case 'pinned':
      return pinProblem(outcome.pin);
    case 'immutable':
      return overwriteImmutable(call, repo, outcome);
    case 'over-quota':
      return overQuotaProblem(call, repo, outcome.over);
    case 'invalid':
      return { code: 'MANIFEST_INVALID', message: outcome.message, detail: outcome.detail };
    case 'digest-mismatch':
      return {
        code: 'DIGEST_INVALID',
        message: `the manifest received is ${outcome.actual}, not the digest in the URL`,
        detail: { expected: reference.kind === 'digest' ? reference.digest : undefined, actual: outcome.actual },
      };
    case 'missing': {
      const missing = [...outcome.blobs, ...outcome.manifests];
      return {
        code: 'MANIFEST_BLOB_UNKNOWN',
        message: `the manifest refers to content that is not in this repository, push it first: ${named(missing)}`,
        detail: { blobs: outcome.blobs, manifests: outcome.manifests },
      };
    }
  }
}

/** What is there already is not said: whoever may push need not be allowed to pull. */
function overwriteDenial(call: Call, repo: RepositoryName, tag: TagName): Problem {
  return {
    ...denial(call, 'tag-overwrite', repo),
    message: `the tag ${tag} of ${repo} leads to something else, and ${identityText(call.identity)} may not move tags there (tag-overwrite): push under another tag`,
    detail: { action: 'tag-overwrite', repository: repo, tag },
  };
}

function pinProblem(pin: Pin): Problem {
  const target = pinTargetText(pin);
  return {
    code: 'DENIED',
    message: `${target} is pinned (${pin.reason}), so nothing was changed: an operator can take the pin away with "wherry unpin ${target}"`,
    detail: { pin: target, reason: pin.reason, pinnedBy: pin.pinnedBy, pinnedAt: new Date(pin.pinnedAt).toISOString() },
  };
}

/** Another tag would be taken, so this is a conflict. Where the tag leads is not said, as in `overwriteDenial`. */
function overwriteImmutable(call: Call, repo: RepositoryName, { rule, tag }: ImmutabilityRefusal): Problem {
  call.noteDenial('tag-overwrite', repo, `${tag ?? 'a manifest'} is immutable, by the rule ${rule}`, tag);
  return {
    code: 'DENIED',
    status: 409,
    message: `the tag ${tag} of ${repo} is immutable (rule ${rule}) and leads to another manifest: nothing was changed, push under another tag`,
    detail: { repository: repo, tag, rule },
  };
}

function deleteImmutable(call: Call, repo: RepositoryName, { rule, tag }: ImmutabilityRefusal): Problem {
  const what = tag === undefined ? `everything in ${repo}` : `the tag ${tag} of ${repo}`;
  call.noteDenial('delete', repo, `${tag ?? 'the repository'} is immutable, by the rule ${rule}`, tag);
  return {
    code: 'DENIED',
    message: `${what} is immutable (rule ${rule}): nothing was deleted`,
    detail: { repository: repo, ...(tag !== undefined && { tag }), rule },
  };
}

function preconditionProblem(
  call: Call,
  repo: RepositoryName,
  reference: Reference,
  { current }: PreconditionFailure,
): Problem {
  if (!call.rights.may('pull', repo)) {
    return {
      code: 'DENIED',
      status: 412,
      message: "nothing was changed, as the request's If-Match or If-None-Match demands",
      detail: { repository: repo, ...detailOf(reference) },
    };
  }
  const name = nameOf(reference);
  const is = reference.kind === 'tag' && current !== undefined ? `leads to ${current}` : 'is there';
  const state = current === undefined ? `there is no ${name} in ${repo}` : `${name} of ${repo} ${is}`;
  return {
    code: 'DENIED',
    status: 412,
    message: `nothing was changed, as the request's If-Match or If-None-Match demands: ${state}`,
    detail: { repository: repo, ...detailOf(reference), current: current ?? null },
  };
}

/** Some digests for a message; the detail has them all. */
function named(digests: readonly Digest[]): string {
  const shown = digests.slice(0, 5).join(', ');
  return digests.length > 5 ? `${shown} and ${digests.length - 5} more` : shown;
}

function manifestUnknown(repo: RepositoryName, reference: Reference): Problem {
  return {
    code: 'MANIFEST_UNKNOWN',
    message: `there is no ${nameOf(reference)} in ${repo}`,
    detail: { repository: repo, ...detailOf(reference) },
  };
}

function nameOf(reference: Reference): string {
  return reference.kind === 'tag' ? `tag ${reference.tag}` : `manifest ${reference.digest}`;
}

function detailOf(reference: Reference): { readonly tag: TagName } | { readonly digest: Digest } {
  return reference.kind === 'tag' ? { tag: reference.tag } : { digest: reference.digest };
}

function malformedReference(
  text: string,
  { code, message }: { readonly code: 'DIGEST_INVALID' | 'MANIFEST_INVALID'; readonly message: string },
): Problem {
  return { code, message, detail: { reference: text.slice(0, 200) } };
}

function manifestHeaders(digest: Digest, mediaType: string) {
  return { 'content-type': mediaType, 'docker-content-digest': digest, etag: entityTagOf(digest) };
}

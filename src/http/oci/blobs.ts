import { deleteBlob, findBlob, type FoundBlob, headBlobForPush, openBlob } from '../../registry/blob.ts';
import type { Purged } from '../../registry/purges/purged.ts';
import { describeDigestProblem, type Digest, parseDigest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { answer, type Call, refuse } from '../call.ts';
import { entityTagOf, matchesEntity } from '../conditions.ts';
import type { Problem } from '../errors.ts';
import { parseRange } from '../range.ts';
import { toldOfPurge } from '../purged.ts';

/** `GET /v2/<name>/blobs/<digest>` (end-2): the blob, whole or a range. */
export async function getBlob(call: Call, repo: RepositoryName, digestText: string): Promise<Response> {
  const digest = parseDigest(digestText);
  if (digest === undefined) return refuse(call, malformedDigest(digestText));
  const found = await findBlob(call.registry, repo, digest);
  if (found.outcome === 'purged') return await refusePurged(call, repo, found.purged);
  if (found.outcome === 'unknown') return refuse(call, blobUnknown(repo, digest));
  const headers = blobHeaders(digest);
  if (matchesEntity(call.request, headers.etag)) return answer(call, 304, headers);

  const isSentAway = call.settings.redirects.include(repo, () => call.address());
  const url = isSentAway ? await call.registry.blobs.publicUrl(found.oid) : undefined;
  if (url !== undefined) return await redirect(call, found, { repo, digest, url });

  const wanted = parseRange(rangeHeader(call.request, headers.etag), found.sizeBytes);
  switch (wanted.kind) {
    case 'unsatisfiable':
      return refuse(call, {
        code: 'SIZE_INVALID',
        status: 416,
        message: wanted.reason,
        detail: { digest, sizeBytes: found.sizeBytes },
        headers: { 'content-range': `bytes */${found.sizeBytes}` },
      });
    case 'part': {
      const { first, last } = wanted.range;
      if (!call.sends({ oid: found.oid, digest })) return await refuseCut(call, repo, digest);
      call.registry.traffic.pulled(last - first + 1);
      const contentRange = `bytes ${first}-${last}/${found.sizeBytes}`;
      const body = await openBlob(call.registry, { repo, digest }, found, wanted.range);
      return answer(call, 206, { ...headers, 'content-range': contentRange }, body);
    }
    case 'whole':
      if (!call.sends({ oid: found.oid, digest })) return await refuseCut(call, repo, digest);
      call.registry.traffic.pulled(found.sizeBytes);
      return answer(call, 200, headers, await openBlob(call.registry, { repo, digest }, found));
  }
}

/** Sends the client to where the bytes are; a range is for the server there, which is asked for the same. */
async function redirect(
  call: Call,
  { oid, sizeBytes }: Extract<FoundBlob, { readonly outcome: 'found' }>,
  { repo, digest, url }: { readonly repo: RepositoryName; readonly digest: Digest; readonly url: string },
): Promise<Response> {
  if (!call.sends({ oid, digest })) return await refuseCut(call, repo, digest);
  call.registry.traffic.pulled(sizeBytes);
  return answer(call, 307, { 'docker-content-digest': digest, 'cache-control': 'no-store', location: url });
}

/** It was purged after it had been found. */
async function refuseCut(call: Call, repo: RepositoryName, digest: Digest): Promise<Response> {
  const now = await findBlob(call.registry, repo, digest);
  return now.outcome === 'purged'
    ? await refusePurged(call, repo, now.purged)
    : refuse(call, blobUnknown(repo, digest));
}

async function refusePurged(call: Call, repo: RepositoryName, purged: Purged): Promise<Response> {
  return refuse(call, (await toldOfPurge(call, repo, purged)) ?? blobUnknown(repo, purged.digest));
}

/** `HEAD /v2/<name>/blobs/<digest>` (end-2). An answer 304 says that the blob is here no less than 200 does. */
export async function headBlob(call: Call, repo: RepositoryName, digestText: string): Promise<Response> {
  const digest = parseDigest(digestText);
  if (digest === undefined) return refuse(call, malformedDigest(digestText));
  // Only who may push builds on the answer.
  const find = call.rights.may('push', repo) ? headBlobForPush : findBlob;
  const found = await find(call.registry, repo, digest);
  if (found.outcome === 'purged') return await refusePurged(call, repo, found.purged);
  if (found.outcome === 'unknown') return refuse(call, blobUnknown(repo, digest));
  const headers = blobHeaders(digest);
  if (matchesEntity(call.request, headers.etag)) return answer(call, 304, headers);
  return answer(call, 200, { ...headers, 'content-length': String(found.sizeBytes) });
}

/** `DELETE /v2/<name>/blobs/<digest>` (end-10). */
export async function deleteBlobOf(call: Call, repo: RepositoryName, digestText: string): Promise<Response> {
  const digest = parseDigest(digestText);
  if (digest === undefined) return refuse(call, malformedDigest(digestText));
  const deleted = await deleteBlob(call.registry, repo, digest, call.actor());
  switch (deleted.outcome) {
    case 'deleted':
      return answer(call, 202, { 'docker-content-digest': digest });
    case 'unknown':
      return refuse(call, blobUnknown(repo, digest));
    case 'referenced': {
      const isShown = call.rights.may('pull', repo);
      const users = isShown ? `the manifests that use it (${deleted.manifests.join(', ')})` : 'what uses it';
      return refuse(call, {
        code: 'DENIED',
        status: 405,
        message: `the blob is part of an image: delete ${users}, and it goes with them`,
        detail: { digest, ...(isShown && { manifests: deleted.manifests }) },
        headers: { allow: 'GET, HEAD' },
      });
    }
  }
}

export function malformedDigest(text: string): Problem {
  return { code: 'DIGEST_INVALID', message: describeDigestProblem(text), detail: { digest: text.slice(0, 200) } };
}

export function blobUnknown(repo: RepositoryName, digest: Digest): Problem {
  return {
    code: 'BLOB_UNKNOWN',
    message: `there is no blob ${digest} in ${repo}`,
    detail: { repository: repo, digest },
  };
}

/** A browser must not show a blob as a page. */
function blobHeaders(digest: Digest): Record<string, string> & { etag: string } {
  return {
    'content-type': 'application/octet-stream',
    'content-disposition': 'attachment',
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: entityTagOf(digest),
  };
}

/**
 * The Range header, unless an If-Range asks for the whole of something else (RFC 9110, 13.1.5). An empty one asks for
 * nothing: so the runtime sees it, which would give a part of the file that is sent whole, or a 416 of its own.
 */
function rangeHeader(request: Request, etag: string): string | null {
  const condition = request.headers.get('if-range');
  return condition === null || condition === '' || condition === etag ? request.headers.get('range') : null;
}

import { hasNul } from '../../nul.ts';
import { parseDigest } from '../../oci/digest.ts';
import { ociImageIndex } from '../../oci/media-types.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { type Referrer, referrersPage } from '../../registry/listing.ts';
import { answer, type Call, refuse } from '../call.ts';
import { malformedDigest } from './blobs.ts';
import { nextLink, nulProblem, pageRequestOf } from './pages.ts';

/** An answer must stay below the size that clients accept for a manifest (specification: 4 MiB). */
const maxAnswerBytes = 3 * 1024 * 1024;
const maxReferrers = 1000;

/** `GET /v2/<name>/referrers/<digest>` (end-12a, end-12b): an index of the manifests whose subject is the digest. */
export async function listReferrers(call: Call, repo: RepositoryName, digestText: string): Promise<Response> {
  const subject = parseDigest(digestText);
  if (subject === undefined) return refuse(call, malformedDigest(digestText));
  const query = new URLSearchParams(call.queryText);
  const request = pageRequestOf(query);
  if ('code' in request) return refuse(call, request);
  const filter = query.get('artifactType');
  if (filter !== null && hasNul(filter)) return refuse(call, nulProblem('artifactType'));
  const artifactType = filter === null || filter === '' ? undefined : filter;
  const limit = Math.min(request.limit, maxReferrers);
  const page = await referrersPage(call.registry, { repo, subject, artifactType, last: request.last, limit });

  const descriptors: string[] = [];
  let sizeBytes = 0;
  let last: Referrer | undefined;
  for (const referrer of page.items) {
    const descriptor = descriptorOf(referrer);
    const descriptorBytes = Buffer.byteLength(descriptor);
    if (descriptors.length > 0 && sizeBytes + descriptorBytes > maxAnswerBytes) break;
    descriptors.push(descriptor);
    sizeBytes += descriptorBytes;
    last = referrer;
  }
  const more = page.more || descriptors.length < page.items.length;
  const next =
    more && last !== undefined
      ? nextLink(`/v2/${repo}/referrers/${subject}`, {
          ...(artifactType === undefined ? {} : { artifactType }),
          n: String(limit),
          last: last.digest,
        })
      : {};
  return answer(
    call,
    200,
    {
      'content-type': ociImageIndex,
      ...(artifactType === undefined ? {} : { 'oci-filters-applied': 'artifactType' }),
      ...next,
    },
    `{"schemaVersion":2,"mediaType":"${ociImageIndex}","manifests":[${descriptors.join(',')}]}`,
  );
}

/** The annotations were JSON when they came and go out as they are. */
function descriptorOf(referrer: Referrer): string {
  const head = JSON.stringify({
    mediaType: referrer.mediaType,
    digest: referrer.digest,
    size: referrer.sizeBytes,
    ...(referrer.artifactType === undefined ? {} : { artifactType: referrer.artifactType }),
  });
  return referrer.annotations === undefined ? head : `${head.slice(0, -1)},"annotations":${referrer.annotations}}`;
}

import { algorithmOf, digestOf, parseDigest } from '../../oci/digest.ts';
import { type Manifest, parseManifest } from '../../oci/manifest.ts';
import { imagesNeedingManifest } from '../broken-images.ts';
import { type Check, type Checked, keysPerPage } from '../check.ts';
import type { Finding, FindingCode, Severity } from '../finding.ts';
import { finds, type Records } from '../records.ts';

interface ManifestKey {
  readonly repo: string;
  readonly digest: string;
}

interface ManifestRow extends ManifestKey {
  readonly media_type: string;
  readonly kind: string;
  readonly artifact_type: string | null;
  readonly subject: string | null;
  readonly state: 'live' | 'trashed';
  readonly size_bytes: number;
  readonly bytes: Uint8Array;
}

interface BlobEdge {
  readonly digest: string;
  readonly link_digest: string | null;
  readonly size_bytes: number;
  /** What the blob's file holds; null where there is none. */
  readonly storedBytes: number | null;
  readonly hasLink: number;
  readonly hasVisibleLink: number;
}

interface ChildEdge {
  readonly child: string;
  readonly present_child: string | null;
  readonly state: 'live' | 'trashed' | null;
}

/**
 * F5: a manifest's bytes have its digest, and its columns and edges say what the bytes say. F6: an edge to a blob has its
 * link. F7: a child is here, and visible where its index is. F9: a manifest that nothing holds for good is in the review
 * queue, or something above it is. F10: neither it nor anything that it needs or has in itself is kept out.
 */
export function manifestsCheck({ records }: Checked): Check<ManifestKey> {
  return {
    name: 'manifests',
    keysAfter: (after = { repo: '', digest: '' }) =>
      records.all<ManifestKey>(
        'select repo, digest from manifest where (repo, digest) > (?, ?) order by repo, digest limit ?',
        after.repo,
        after.digest,
        keysPerPage,
      ),
    look: (key) => records.snapshot(async () => await Array.fromAsync(lookAt(records, key))),
  };
}

async function* lookAt(records: Records, { repo, digest }: ManifestKey): AsyncGenerator<Finding> {
  const [row] = await records.all<ManifestRow>(
    `select repo, digest, media_type, kind, artifact_type, subject, state, size_bytes, bytes
     from manifest where repo = ? and digest = ?`,
    repo,
    digest,
  );
  if (row === undefined) return;
  const blobs = await records.all<BlobEdge>(
    `select digest, link_digest, size_bytes,
       (select max(object.size_bytes) from object where object.live_digest = edge.link_digest) as "storedBytes",
       exists (select 1 from link where link.repo = edge.repo and link.digest = edge.digest) as "hasLink",
       exists (select 1 from link
         where link.repo = edge.repo and link.digest = edge.digest and link.deleted_at is null) as "hasVisibleLink"
     from manifest_blob edge where repo = ? and manifest = ? order by digest`,
    repo,
    digest,
  );
  const children = await records.all<ChildEdge>(
    `select child, present_child,
       (select state from manifest where manifest.repo = edge.repo and manifest.digest = edge.child) as state
     from manifest_child edge where repo = ? and parent = ? order by child`,
    repo,
    digest,
  );
  const manifest = contentOf(row);
  const problems = [
    ...(typeof manifest === 'string' ? [loss('F5', manifest)] : edgeProblems(row, manifest, blobs, children)),
    ...blobs.flatMap((edge) => linkProblems(edge)),
    ...children.flatMap((edge) => childProblems(row, edge)),
  ];
  const about = `${repo}@${digest}`;
  for (const problem of problems) {
    const breaks = problem.severity === 'loss' ? { breaks: await imagesNeedingManifest(records, repo, digest) } : {};
    yield { ...problem, about, ...breaks };
  }
  const embedded = typeof manifest === 'string' ? undefined : manifest.embeddedSubject;
  if (await isKeptOut(records, repo, digest, embedded)) {
    const message = 'it, or something that it needs or has in itself, has been purged and is kept out';
    yield { code: 'F10', severity: 'leak', about, message, advice: 'purge it again' };
  }
  if (!(await isHeldOrReviewed(records, row))) {
    const message = 'nothing holds the manifest, and nothing will look at it again';
    const advice = 'fsck --repair puts it into the review queue';
    const repair = { kind: 'review', task: { kind: 'manifest', key1: repo, key2: digest } } as const;
    yield { code: 'F9', severity: 'leak', about, message, advice, repair };
  }
}

async function isKeptOut(records: Records, repo: string, digest: string, embedded = digest): Promise<boolean> {
  return await finds(
    records,
    `select 1 from blocked where digest in (?2, ?3) union all
     select 1 from manifest_blob edge where repo = ?1 and manifest = ?2
       and exists (select 1 from blocked where blocked.digest = edge.digest) union all
     select 1 from manifest_child edge where repo = ?1 and parent = ?2
       and exists (select 1 from blocked where blocked.digest = edge.child)`,
    repo,
    digest,
    embedded,
  );
}

interface Problem {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly message: string;
  readonly advice: string;
}

function loss(code: FindingCode, message: string): Problem {
  return { code, severity: 'loss', message, advice: 'push the image again' };
}

/** What the stored bytes say, or why they say nothing. */
function contentOf(row: ManifestRow): Manifest | string {
  const digest = parseDigest(row.digest);
  if (digest === undefined) return 'its digest is none';
  const actual = digestOf(algorithmOf(digest), row.bytes);
  if (actual !== digest) return `its bytes are those of ${actual}`;
  if (row.bytes.byteLength !== row.size_bytes) return `it has ${row.bytes.byteLength} bytes, not ${row.size_bytes}`;
  const parsed = parseManifest(row.bytes, row.media_type);
  return parsed.ok ? parsed.manifest : parsed.message;
}

function edgeProblems(
  row: ManifestRow,
  manifest: Manifest,
  blobs: readonly BlobEdge[],
  children: readonly ChildEdge[],
): Problem[] {
  const problems: Problem[] = [];
  for (const [column, stored, actual] of [
    ['media type', row.media_type, manifest.mediaType],
    ['kind', row.kind, manifest.kind],
    ['artifact type', row.artifact_type, manifest.artifactType ?? null],
    ['subject', row.subject, manifest.subject?.digest ?? null],
  ]) {
    if (stored !== actual) problems.push(loss('F5', `its ${column} is kept as ${stored}, its bytes say ${actual}`));
  }
  const blobEdges = new Set(blobs.map((edge) => edge.digest));
  const childEdges = new Map(children.map((edge) => [edge.child, edge]));
  const listed = new Set<string>(manifest.children.map((child) => child.digest));
  const needed = new Set<string>(manifest.blobs.map((blob) => blob.digest));
  for (const digest of needed) {
    if (!blobEdges.has(digest)) problems.push(loss('F5', `it needs the blob ${digest}, which it does not hold`));
  }
  for (const digest of listed) {
    const edge = childEdges.get(digest);
    if (edge === undefined) problems.push(loss('F5', `it lists ${digest}, which it does not hold`));
    // Nobody can tell what it will come as, so it is held as both (R20).
    else if (edge.present_child === null && !blobEdges.has(digest)) {
      problems.push(loss('F5', `it lists ${digest}, which it would not hold if it came as a blob`));
    }
  }
  const advice = 'delete the image and push it again';
  for (const digest of blobEdges) {
    if (needed.has(digest) || listed.has(digest)) continue;
    problems.push({
      code: 'F5',
      severity: 'leak',
      message: `it holds the blob ${digest}, which it does not need`,
      advice,
    });
  }
  for (const digest of childEdges.keys()) {
    if (listed.has(digest)) continue;
    problems.push({ code: 'F5', severity: 'leak', message: `it holds ${digest}, which it does not list`, advice });
  }
  const required = new Set<string>(manifest.blobs.flatMap((blob) => (blob.required ? [blob.digest] : [])));
  for (const { digest, link_digest: link } of blobs) {
    if (link !== null || !required.has(digest)) continue;
    const message = `it was pushed before its blob ${digest}, which has not come`;
    problems.push({ code: 'F6', severity: 'note', message, advice: 'push the blob' });
  }
  return problems;
}

function linkProblems(edge: BlobEdge): Problem[] {
  const { digest, link_digest: link, hasLink, hasVisibleLink, size_bytes: sizeBytes, storedBytes } = edge;
  if (link !== null && hasLink === 0) return [loss('F6', `its blob ${digest} is not in the repository`)];
  if (link === null && hasVisibleLink === 1)
    return [loss('F6', `its blob ${digest} has come, and it does not hold it`)];
  if (storedBytes !== null && storedBytes !== sizeBytes) {
    const message = `it counts its blob ${digest} as ${sizeBytes} bytes, of which there are ${storedBytes}: plans of retention say wrongly what they free`;
    return [{ code: 'F6', severity: 'note', message, advice: 'push the manifest again' }];
  }
  return [];
}

function childProblems(row: ManifestRow, { child, present_child: present, state }: ChildEdge): Problem[] {
  if (present !== null && state === null) return [loss('F7', `the manifest ${child} that it lists is gone`)];
  if (present !== null && row.state === 'live' && state === 'trashed') {
    return [loss('F7', `the manifest ${child} that it lists is in the trash`)];
  }
  if (present === null && state === 'live') {
    return [loss('F7', `the manifest ${child} that it lists has come, and it does not hold it`)];
  }
  return [];
}

/**
 * Whether a tag or pin holds it or something above it, or a review of one of them will lead to its own. By values, since
 * PostgreSQL may look for what exists by reading all there is in the repository.
 */
async function isHeldOrReviewed(records: Records, { repo, digest }: ManifestKey): Promise<boolean> {
  return await finds(
    records,
    `with recursive above (digest) as (
       select digest from manifest where repo = ?1 and digest = ?2
       union
       select case when up.is_to_index = 1 then edge.parent else subject.digest end
       from above
       cross join (select 1 as is_to_index union all select 0) up
       left join manifest_child edge
         on up.is_to_index = 1 and edge.present_child = above.digest and edge.repo = ?1
       left join manifest held
         on up.is_to_index = 0 and held.repo = ?1 and held.digest = above.digest and held.state = 'live'
       left join manifest subject on subject.repo = held.repo and subject.digest = held.subject
       where edge.parent is not null or subject.digest is not null
     )
     select 1 from above
     where (select 1 from tag where tag.repo = ?1 and tag.manifest = above.digest limit 1) = 1
       or (select 1 from pin where pin.repo = ?1 and pin.kind = 'manifest' and pin.name = above.digest) = 1
       or (select 1 from task where kind = 'manifest' and key1 = ?1 and key2 = above.digest) = 1
       or exists (select 1 from pin where pin.repo = ?1 and pin.kind = 'repository')
     limit 1`,
    repo,
    digest,
  );
}

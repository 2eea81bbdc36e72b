import { all, first } from '../metadata/operation.ts';
import { visibleBlob } from '../metadata/queries/links.ts';
import { manifestBytesAmong } from '../metadata/queries/retention.ts';
import type { Digest } from '../oci/digest.ts';
import { isJsonObject, isStringRecord, parseJsonObject } from '../oci/json.ts';
import { parseManifest } from '../oci/manifest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Registry } from '../registry/registry.ts';
import type { Policy } from '../retention/policy.ts';
import type { ManifestNode, RepositoryGraph } from './repository-graph.ts';

/** Bytes of manifests that one step reads; one alone may have more. */
const bytesPerStep = 4 * 1024 * 1024;
/** A larger config gives no labels, in bytes. The largest of images have some hundred KiB. */
const maxConfigBytes = 4 * 1024 * 1024;

/** What whoever made an image has written on it. */
export interface Description {
  /** Of the image's config; for an index, those that all of its children have alike. */
  readonly labels: Readonly<Record<string, string>>;
  /** Of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
}

interface Read {
  readonly annotations: Readonly<Record<string, string>>;
  readonly config: Digest | undefined;
}

/**
 * Reads labels and annotations of a repository's manifests, as far as a policy asks for them. A config that is missing,
 * damaged or too large gives no labels.
 */
export async function readDescriptions(
  registry: Registry,
  graph: RepositoryGraph,
  { rules }: Policy,
): Promise<ReadonlyMap<ManifestNode, Description>> {
  const needsLabels = rules.some(({ selector }) => selector.labels.size > 0);
  const descriptions = new Map<ManifestNode, Description>();
  if (!needsLabels && rules.every(({ selector }) => selector.annotations.size === 0)) return descriptions;
  const read = await readManifests(registry, graph.repo, [...graph.manifests.values()].filter(isVisible));
  const labelsOf = new Map<ManifestNode, Readonly<Record<string, string>>>();
  if (needsLabels) {
    for (const [manifest, { config }] of read) {
      if (config !== undefined) labelsOf.set(manifest, await configLabels(registry, graph.repo, config));
    }
  }
  for (const [manifest, { annotations }] of read) {
    const labels = labelsOf.get(manifest) ?? alike(manifest.children.map((child) => labelsOf.get(child) ?? {}));
    descriptions.set(manifest, { labels, annotations });
  }
  return descriptions;
}

function isVisible(manifest: ManifestNode): boolean {
  return manifest.isVisible;
}

async function readManifests(
  { metadata }: Registry,
  repo: RepositoryName,
  manifests: readonly ManifestNode[],
): Promise<ReadonlyMap<ManifestNode, Read>> {
  const read = new Map<ManifestNode, Read>();
  for (const step of stepsOf(manifests)) {
    const byDigest = new Map(step.map((manifest) => [manifest.digest, manifest]));
    for (const row of await metadata.read(() => all(manifestBytesAmong, { repo, digests: [...byDigest.keys()] }))) {
      const manifest = byDigest.get(row.digest);
      const parsed = parseManifest(row.bytes, row.media_type);
      if (manifest === undefined || !parsed.ok) continue;
      const { annotations = {}, blobs } = parsed.manifest;
      read.set(manifest, { annotations, config: blobs.find(({ role }) => role === 'config')?.digest });
    }
  }
  return read;
}

function* stepsOf(manifests: readonly ManifestNode[]): Generator<readonly ManifestNode[], void, undefined> {
  let step: ManifestNode[] = [];
  let sizeBytes = 0;
  for (const manifest of manifests) {
    if (step.length > 0 && sizeBytes + manifest.sizeBytes > bytesPerStep) {
      yield step;
      [step, sizeBytes] = [[], 0];
    }
    step.push(manifest);
    sizeBytes += manifest.sizeBytes;
  }
  if (step.length > 0) yield step;
}

async function configLabels(
  { metadata, blobs, log }: Registry,
  repo: RepositoryName,
  config: Digest,
): Promise<Readonly<Record<string, string>>> {
  const row = await metadata.read(() => first(visibleBlob, { repo, digest: config }));
  if (row === undefined || row.size_bytes > maxConfigBytes) return {};
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await blobs.read(row.oid, { first: 0, last: row.size_bytes - 1 }).arrayBuffer());
  } catch (error) {
    log.warn(
      { err: error, repo, digest: config },
      'the config of an image cannot be read: it counts as without labels',
    );
    return {};
  }
  const parsed = parseJsonObject(bytes);
  const inner = parsed.ok ? parsed.object['config'] : undefined;
  const labels = isJsonObject(inner) ? inner['Labels'] : undefined;
  return isStringRecord(labels) ? labels : {};
}

/** What all of some records have, with the same value. */
function alike(records: readonly Readonly<Record<string, string>>[]): Readonly<Record<string, string>> {
  const [one, ...others] = records;
  if (one === undefined) return {};
  return Object.fromEntries(
    Object.entries(one).filter(([name, value]) =>
      others.every((other) => Object.hasOwn(other, name) && other[name] === value),
    ),
  );
}

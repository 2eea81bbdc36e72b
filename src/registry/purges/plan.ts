import { all, first, type Operation } from '../../metadata/operation.ts';
import { parentsLacking, parentsOf } from '../../metadata/queries/holds.ts';
import {
  indexesLacking,
  linksAfter,
  manifestsHoldingAfter,
  manifestsLackingAfter,
  plannedManifest,
  uploadsUnderWayAfter,
} from '../../metadata/queries/purge-plan.ts';
import { trashedTagsOf } from '../../metadata/queries/removals.ts';
import {
  leavingObjectsOfDigest,
  manifestAmong,
  objectsOfDigest,
  repositoriesAfter,
  tagsOf,
} from '../../metadata/queries/usage.ts';
import type { ObjectState } from '../../metadata/schema.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { embeddingAmong, manifestsEmbedding, type PlacedManifest } from '../manifests/embedding.ts';
import { type Consequence, consequencesOf, type Loosened, loosenedBy } from './consequences.ts';
import type { Registry } from '../registry.ts';

/** Rows that one step reads. */
const rowsPerStep = 200;

/** Something that a purge would hit. Sizes are bytes, times ms since 1970. */
export type PlannedPlace =
  | {
      readonly kind: 'object';
      readonly digest: Digest;
      readonly oid: string;
      readonly state: ObjectState;
      readonly sizeBytes: number;
    }
  | { readonly kind: 'link'; readonly digest: Digest; readonly repo: RepositoryName }
  | {
      readonly kind: 'manifest';
      readonly repo: RepositoryName;
      readonly digest: Digest;
      readonly type: 'image' | 'index';
      readonly isInTrash: boolean;
      readonly sizeBytes: number;
      readonly lastPulledAt: number | undefined;
    }
  | {
      readonly kind: 'tag';
      readonly repo: RepositoryName;
      readonly tag: TagName;
      readonly digest: Digest;
      readonly isInTrash: boolean;
    }
  /** It contains nothing of it, and loses what held it. */
  | Consequence
  /** Its content is compared when it ends. */
  | { readonly kind: 'upload'; readonly repo: RepositoryName; readonly id: string; readonly sizeBytes: number };

/**
 * All that a purge of some digests would hit, as it stands now, a few at a time. Nothing is written. It costs what is
 * hit, and a probe of each repository for manifests of the digests; of the manifests that it has told of it remembers
 * the names, so as to tell of each once, and at the end what becomes of what those held.
 */
export async function* purgePlan(
  { metadata, immutability }: Registry,
  digests: readonly Digest[],
): AsyncGenerator<readonly PlannedPlace[], void, undefined> {
  const seen = new Set<string>();
  const loosened: Loosened[] = [];
  const read = <T>(operation: () => Operation<T>): Promise<T> => metadata.read(operation);

  async function* manifests(
    found: readonly PlacedManifest[],
  ): AsyncGenerator<readonly PlannedPlace[], void, undefined> {
    const waiting = [...found];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const one = next;
      const key = `${one.repo}@${one.digest}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const { places, containing, loosened: lost } = await read(() => ofManifest(one));
      loosened.push(...lost);
      yield places;
      waiting.push(...containing);
    }
  }

  for (const digest of new Set(digests)) {
    yield await read(() => objectPlaces(digest));
    for await (const page of pages(
      (after) => read(() => all(linksAfter, { digest, after, limit: rowsPerStep })),
      ({ repo }) => repo,
      '',
    )) {
      yield page.map(({ repo }) => ({
        kind: 'link',
        digest,
        repo,
      }));
    }
    for (const needing of [manifestsHoldingAfter, manifestsLackingAfter]) {
      const start: { readonly repo: string; readonly manifest: string } = { repo: '', manifest: '' };
      const from = (after: typeof start) => read(() => all(needing, { digest, ...after, limit: rowsPerStep }));
      for await (const page of pages(from, ({ repo, manifest }): typeof start => ({ repo, manifest }), start))
        yield* manifests(page.map(placed));
    }
    yield* manifests((await read(() => all(indexesLacking, { child: digest }))).map(placed));
    yield* manifests(await read(() => manifestsEmbedding(digest)));
    for await (const page of pages(
      (after) => read(() => all(repositoriesAfter, { after, limit: rowsPerStep })),
      ({ name }) => name,
      '',
    )) {
      const repos = page.map(({ name }) => name);
      const here = await read(() => all(manifestAmong, { digest, repos }));
      yield* manifests(here.map(({ repo }) => ({ repo, digest })));
    }
  }
  for await (const page of pages(
    (after) => read(() => all(uploadsUnderWayAfter, { after, limit: rowsPerStep })),
    ({ oid }) => oid ?? '',
    '',
  )) {
    yield page.map(({ id, repo, offset_bytes: sizeBytes }) => ({ kind: 'upload', repo, id, sizeBytes }));
  }
  const isHit = (repo: RepositoryName, digest: Digest): boolean => seen.has(`${repo}@${digest}`);
  yield await consequencesOf({ metadata, immutability, isHit }, loosened);
}

function placed({
  repo,
  manifest: digest,
}: {
  readonly repo: RepositoryName;
  readonly manifest: Digest;
}): PlacedManifest {
  return { repo, digest };
}

function* objectPlaces(digest: Digest): Operation<readonly PlannedPlace[]> {
  const rows = [...(yield* all(objectsOfDigest, { digest })), ...(yield* all(leavingObjectsOfDigest, { digest }))];
  return rows.map(({ oid, state, size_bytes: sizeBytes }) => ({ kind: 'object', digest, oid, state, sizeBytes }));
}

function* ofManifest({ repo, digest }: PlacedManifest): Operation<{
  readonly places: readonly PlannedPlace[];
  /** The indexes that list it, and what has it in itself. */
  readonly containing: readonly PlacedManifest[];
  readonly loosened: readonly Loosened[];
}> {
  const row = yield* first(plannedManifest, { repo, digest });
  if (row === undefined) return { places: [], containing: [], loosened: [] };
  const tags = yield* all(tagsOf, { repo, manifest: digest });
  const trashed = yield* all(trashedTagsOf, { repo, manifest: digest });
  const parents = [
    ...(yield* all(parentsOf, { repo, child: digest })),
    ...(yield* all(parentsLacking, { repo, child: digest })),
  ];
  const loosened = yield* loosenedBy(repo, digest);
  const referrers = loosened.filter(({ kind }) => kind === 'referrer');
  return {
    places: [
      {
        kind: 'manifest',
        repo,
        digest,
        type: row.kind,
        isInTrash: row.state === 'trashed',
        sizeBytes: row.size_bytes,
        lastPulledAt: row.last_pulled_at ?? undefined,
      },
      ...tags.map(({ name: tag }) => ({ kind: 'tag', repo, tag, digest, isInTrash: false }) as const),
      ...trashed.map(({ name: tag }) => ({ kind: 'tag', repo, tag, digest, isInTrash: true }) as const),
    ],
    containing: [...parents.map(({ parent }) => ({ repo, digest: parent })), ...(yield* embeddingAmong(referrers))],
    loosened,
  };
}

/** The pages of something, each read after the last item of the one before. */
async function* pages<Row, Key>(
  readAfter: (after: Key) => Promise<readonly Row[]>,
  keyOf: (row: Row) => Key,
  start: Key,
): AsyncGenerator<readonly Row[], void, undefined> {
  for (let after = start; ;) {
    const page = await readAfter(after);
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < rowsPerStep) return;
    after = keyOf(last);
  }
}

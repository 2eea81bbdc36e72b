import type { BlobStore, ObjectId } from '../../blobs/store.ts';
import { all, first, type Operation } from '../../metadata/operation.ts';
import { anyLinkOf } from '../../metadata/queries/holds.ts';
import {
  anyAbsentEdgeTo,
  anyEdgeTo,
  anyIndexLacking,
  anyIndexListing,
  anyLeavingObjectOf,
  anyLiveObjectOf,
  anyTagTo,
  anyTrashedTagTo,
  anyUploadOf,
} from '../../metadata/queries/purge-check.ts';
import { digestsOfPurge } from '../../metadata/queries/purges.ts';
import type { MetadataStore } from '../../metadata/store.ts';
import { manifestsEmbedding } from '../manifests/embedding.ts';
import { repositoriesWithManifest } from '../manifests/places.ts';

/** One look for what is left, and what it has found. */
export interface PurgeCheck {
  /** Where it was looked, such as `rows of link`. */
  readonly where: string;
  /** Each of what is left; nothing where all is gone. */
  readonly found: readonly string[];
}

/** Looks in every table for the digests of a purge, and in the blob store for its objects. */
export async function checkPurge(
  { metadata, blobs }: { readonly metadata: MetadataStore; readonly blobs: BlobStore },
  purge: number,
  oids: readonly ObjectId[],
): Promise<readonly PurgeCheck[]> {
  const rows = await metadata.read(() => rowsLeft(purge));
  const files: string[] = [];
  const putAside: string[] = [];
  for (const oid of oids) {
    if ((await blobs.size(oid)) !== undefined) files.push(oid);
    if (await blobs.isQuarantined(oid)) putAside.push(oid);
  }
  return [...rows, { where: 'the blob store', found: files }, { where: 'quarantine/', found: putAside }];
}

function* rowsLeft(purge: number): Operation<readonly PurgeCheck[]> {
  const found = new Map<string, string[]>([
    ['rows of object', []],
    ['rows of link', []],
    ['rows of manifest', []],
    ['rows of manifest_blob', []],
    ['rows of manifest_child', []],
    ['rows of tag', []],
    ['rows of tag_trash', []],
    ['rows of upload', []],
  ]);
  for (const { digest, lifted_at: liftedAt } of yield* all(digestsOfPurge, { purge })) {
    if (liftedAt !== null) continue;
    const left: readonly (readonly [string, unknown])[] = [
      ['rows of object', yield* first(anyLiveObjectOf, { digest })],
      ['rows of object', yield* first(anyLeavingObjectOf, { digest })],
      ['rows of link', yield* first(anyLinkOf, { digest })],
      ['rows of manifest', (yield* repositoriesWithManifest(digest))[0]],
      ['rows of manifest', (yield* manifestsEmbedding(digest))[0]],
      ['rows of manifest_blob', yield* first(anyEdgeTo, { digest })],
      ['rows of manifest_blob', yield* first(anyAbsentEdgeTo, { digest })],
      ['rows of manifest_child', yield* first(anyIndexListing, { digest })],
      ['rows of manifest_child', yield* first(anyIndexLacking, { digest })],
      ['rows of tag', yield* first(anyTagTo, { digest })],
      ['rows of tag_trash', yield* first(anyTrashedTagTo, { digest })],
      ['rows of upload', yield* first(anyUploadOf, { digest })],
    ];
    for (const [where, row] of left) if (row !== undefined) found.get(where)?.push(`${digest} ${JSON.stringify(row)}`);
  }
  return [...found].map(([where, each]) => ({ where, found: each }));
}

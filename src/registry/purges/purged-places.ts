import { all } from '../../metadata/operation.ts';
import { placesAfter } from '../../metadata/queries/purged-places.ts';
import { digestsOfPurge } from '../../metadata/queries/purges.ts';
import type { PurgePlaceTable } from '../../metadata/schema.ts';
import type { MetadataStore } from '../../metadata/store.ts';
import type { Digest } from '../../oci/digest.ts';
import type { PurgedContent } from './uploads.ts';

/** Places that are read in one go. */
const placesPerStep = 200;

type Reading = Pick<MetadataStore, 'read'>;

/** The digests that a purge keeps out, as long as nobody has lifted it for them. */
export async function digestsKeptOut(metadata: Reading, purge: number): Promise<readonly Digest[]> {
  const rows = await metadata.read(() => all(digestsOfPurge, { purge }));
  return rows.filter(({ lifted_at: liftedAt }) => liftedAt === null).map(({ digest }) => digest);
}

/** What it keeps out whose length is known, as it was here. */
export async function contentsKeptOut(metadata: Reading, purge: number): Promise<readonly PurgedContent[]> {
  const keptOut = new Set<string>(await digestsKeptOut(metadata, purge));
  const contents = new Map<Digest, number>();
  for await (const { digest, size_bytes: sizeBytes } of purgedPlaces(metadata, purge, 'object')) {
    // That of a copy whose upload was dropped may not be known.
    if (digest !== '' && keptOut.has(digest) && (sizeBytes ?? 0) > (contents.get(digest) ?? 0))
      contents.set(digest, sizeBytes ?? 0);
  }
  return [...contents].map(([digest, sizeBytes]) => ({ digest, sizeBytes }));
}

/** Whether there was anything of a kind. */
export async function hasPlaces(metadata: Reading, purge: number, kind: PurgePlaceTable['kind']): Promise<boolean> {
  for await (const _ of purgedPlaces(metadata, purge, kind)) return true;
  return false;
}

/** Those of all places of a kind: of objects, their ids. */
export async function namesOfPlaces(
  metadata: Reading,
  purge: number,
  kind: PurgePlaceTable['kind'],
): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const place of purgedPlaces(metadata, purge, kind)) names.push(place.name);
  return names;
}

/** Where a purge has found what it removes, a kind at a time, as it has written down. */
export async function* purgedPlaces(
  metadata: Reading,
  purge: number,
  kind: PurgePlaceTable['kind'],
): AsyncGenerator<PurgePlaceTable, void, undefined> {
  let after = { kind: kind, repo: '', digest: '', name: '' };
  for (;;) {
    const from = after;
    const page = await metadata.read(() => all(placesAfter, { purge, ...from, limit: placesPerStep }));
    for (const place of page) {
      if (place.kind !== kind) return;
      yield place;
    }
    const last = page.at(-1);
    if (last === undefined) return;
    after = { kind, repo: last.repo, digest: last.digest, name: last.name };
  }
}

import { all, first, type Operation } from '../../metadata/operation.ts';
import { countPlaces, placesAfter } from '../../metadata/queries/purged-places.ts';
import { digestsOfPurge, findPurge, purgesBefore } from '../../metadata/queries/purges.ts';
import type { PurgePlaceKind, PurgePlaceTable, PurgeTable } from '../../metadata/schema.ts';
import type { Digest } from '../../oci/digest.ts';
import { purgeResult, type PurgeResult } from './result.ts';
import type { Registry } from '../registry.ts';

const placesPerPage = 500;

export interface PurgedDigest {
  readonly digest: Digest;
  readonly lifted: { readonly at: number; readonly by: string; readonly reason: string } | undefined;
}

export interface PlaceCount {
  readonly kind: PurgePlaceKind;
  readonly count: number;
  readonly bytes: number;
}

/** What was done by a purge, without each of its places. Times are in ms since 1970. */
export interface PurgeRecord {
  readonly id: number;
  readonly at: number;
  readonly actor: string;
  readonly reason: string;
  readonly digests: readonly PurgedDigest[];
  readonly places: readonly PlaceCount[];
  readonly isShredding: boolean;
  /** When the last byte was removed; undefined while that is to be done. */
  readonly removedAt: number | undefined;
  /** When it was looked whether anything is left; undefined until then. */
  readonly checkedAt: number | undefined;
  /** Why it could not be finished when that was tried last; undefined where it was not tried, or is finished. */
  readonly waitsFor: string | undefined;
  readonly result: PurgeResult | undefined;
}

export type PurgePlace = Omit<PurgePlaceTable, 'purge'>;

/** Undefined where there is no such purge. */
export async function purgeRecord({ metadata }: Registry, purge: number): Promise<PurgeRecord | undefined> {
  return await metadata.read(function* read(): Operation<PurgeRecord | undefined> {
    const row = yield* first(findPurge, { purge });
    return row === undefined ? undefined : yield* recordOf(row);
  });
}

/** A page of records, the newest first. @param before the number of the last one of the page before */
export async function purgeRecords(
  { metadata }: Registry,
  { before = Number.MAX_SAFE_INTEGER, limit }: { readonly before?: number | undefined; readonly limit: number },
): Promise<readonly PurgeRecord[]> {
  return await metadata.read(function* read(): Operation<readonly PurgeRecord[]> {
    const records: PurgeRecord[] = [];
    for (const row of yield* all(purgesBefore, { before, limit })) records.push(yield* recordOf(row));
    return records;
  });
}

/** Each place of a purge, a page at a time. */
export async function* placesOfPurge(
  { metadata }: Registry,
  purge: number,
): AsyncGenerator<readonly PurgePlace[], void, undefined> {
  for (let after = { kind: '', repo: '', digest: '', name: '' }; ;) {
    const from = after;
    const page = await metadata.read(() => all(placesAfter, { purge, ...from, limit: placesPerPage }));
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < placesPerPage) return;
    after = { kind: last.kind, repo: last.repo, digest: last.digest, name: last.name };
  }
}

function* recordOf(row: Omit<PurgeTable, 'id' | 'responses_cut'> & { readonly id: number }): Operation<PurgeRecord> {
  const { id, at, actor, reason } = row;
  const digests = yield* all(digestsOfPurge, { purge: id });
  return {
    id,
    at,
    actor,
    reason,
    digests: digests.map(({ digest, lifted_at: liftedAt, lifted_by: by, lift_reason: why }) => ({
      digest,
      lifted: liftedAt === null ? undefined : { at: liftedAt, by: by ?? '', reason: why ?? '' },
    })),
    places: (yield* all(countPlaces, { purge: id })).map(({ kind, count, bytes }) => ({
      kind,
      count,
      bytes: bytes ?? 0,
    })),
    isShredding: row.is_shredding === 1,
    removedAt: row.removed_at ?? undefined,
    checkedAt: row.checked_at ?? undefined,
    waitsFor: row.waits_for ?? undefined,
    result: row.result === null ? undefined : purgeResult.parse(JSON.parse(row.result)),
  };
}

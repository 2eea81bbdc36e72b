import { first } from '../metadata/operation.ts';
import { countOpenUploads } from '../metadata/queries/uploads.ts';
import type { Registry } from './registry.ts';
import { storedNow } from './stored.ts';

export interface HeldFigures {
  readonly openUploads: number;
  readonly liveBlobs: number;
  readonly liveBytes: number;
}

/** What the registry holds, for the metrics. */
export async function heldFigures({ metadata }: Pick<Registry, 'metadata'>): Promise<HeldFigures> {
  const { live } = await storedNow({ metadata });
  const uploads = await metadata.read(() => first(countOpenUploads, {}));
  return { openUploads: uploads?.count ?? 0, liveBlobs: live.objects, liveBytes: live.bytes };
}

import { type Digest, digestOf } from '../../../src/oci/digest.ts';
import type { RepositoryName } from '../../../src/oci/names.ts';
import { isKeptOut } from './purges.ts';
import type { Reference } from './reference.ts';

/** How long a session that ended well is remembered, in ms. */
export const doneSessionMs = 3_600_000;

export interface ModelUpload {
  readonly id: string;
  readonly repo: RepositoryName;
  readonly openedAt: number;
  touchedAt: number;
  bytes: readonly Uint8Array<ArrayBuffer>[];
  /** What it became. */
  done: Digest | undefined;
}

/** Whether a session may be gone by now: also one that has brought what was purged, where the registry knows that. */
export function mayBeForgotten(model: Reference, upload: ModelUpload, now: number): boolean {
  if (isKeptOut(model, upload.done ?? digestOf('sha256', Buffer.concat(upload.bytes)))) return true;
  return now >= upload.touchedAt + (upload.done === undefined ? model.windows.uploadMs : doneSessionMs);
}

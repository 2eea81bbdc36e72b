/** Why a purge cannot be finished yet, though nothing has failed. */
export class PurgeWaitsError extends Error {
  override readonly name = 'PurgeWaitsError';
}

/** What has been broken off, and what a purge waits for, is written down also where nothing may be changed. */
export const evenReadOnly = { fromReserve: true, whileReadOnly: true } as const;

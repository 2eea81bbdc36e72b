/** Why a purge cannot be finished yet, though nothing has failed. */
export class PurgeWaitsError extends Error {
  override readonly name = 'PurgeWaitsError';
}

import type { WriteOptions } from '../metadata/store.ts';

/**
 * How that is written down which is no change of what a registry holds, and must be known: what has been broken off, what a purge
 * waits for, whether anything may be changed, and which registry it is.
 */
export const evenReadOnly: WriteOptions = { fromReserve: true, whileReadOnly: true };

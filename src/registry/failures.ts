import { BlobStoreBusyError, BlobStoreFullError } from '../blobs/store.ts';
import { SiblingBusyError } from './siblings.ts';
import {
  MetadataBrokenError,
  MetadataBusyError,
  MetadataFullError,
  RegistryReadOnlyError,
  UnstorableTextError,
} from '../metadata/store.ts';

/** A failure of the machine that has an answer of its own. */
export type MachineFailure =
  | { readonly kind: 'full'; readonly message: string }
  | { readonly kind: 'busy'; readonly message: string }
  /** An operator lets nothing be changed for now. */
  | { readonly kind: 'read-only'; readonly message: string }
  /** The request has brought what the database cannot keep. */
  | { readonly kind: 'unstorable'; readonly message: string }
  | { readonly kind: 'broken'; readonly message: string }
  /** The disk has failed to do what it was asked to. */
  | { readonly kind: 'faulty'; readonly message: string }
  /** A file went between the look at its row and its opening (R46). */
  | { readonly kind: 'gone' };

/** What an operation's exception says of the machine; undefined for a bug. */
export function machineFailureOf(error: unknown): MachineFailure | undefined {
  if (error instanceof BlobStoreFullError || error instanceof MetadataFullError) {
    return { kind: 'full', message: error.message };
  }
  if (error instanceof RegistryReadOnlyError) return { kind: 'read-only', message: error.message };
  if (error instanceof UnstorableTextError) return { kind: 'unstorable', message: error.message };
  if (error instanceof MetadataBrokenError) return { kind: 'broken', message: error.message };
  if (error instanceof MetadataBusyError || error instanceof BlobStoreBusyError || error instanceof SiblingBusyError)
    return { kind: 'busy', message: error.message };
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return undefined;
  if (error.code === 'EIO' || error.code.startsWith('SQLITE_IOERR')) {
    return { kind: 'faulty', message: `the registry's disk has failed (${error.code})` };
  }
  switch (error.code) {
    case 'ENOENT':
      return { kind: 'gone' };
    case 'EMFILE':
    case 'ENFILE':
      return { kind: 'busy', message: 'the registry has as many files open as the system allows (ulimit -n)' };
    default:
      return undefined;
  }
}

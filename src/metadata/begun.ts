import { first, type Operation } from './operation.ts';
import { begunState } from './queries/begun.ts';
import { type Begun, RegistryReadOnlyError } from './store.ts';

/** Of a transaction that has not looked. */
export const notLooked: Begun = { quotaRevision: undefined };

/** An operation that is carried out only while the registry may be changed, seen in its own transaction. */
export function* unlessReadOnly<T>(operation: (begun: Begun) => Operation<T>): Operation<T> {
  const row = yield* first(begunState, {});
  expectWritable(row?.read_only_reason);
  return yield* operation({ quotaRevision: row?.quota_revision ?? undefined });
}

/** @param reason for which the registry is read-only @throws RegistryReadOnlyError where there is one */
export function expectWritable(reason: string | null | undefined): void {
  if (reason !== undefined && reason !== null) throw new RegistryReadOnlyError(reason);
}

import { first, type Operation } from './operation.ts';
import { findReadOnly } from './queries/read-only.ts';
import { RegistryReadOnlyError } from './store.ts';

/** An operation that is carried out only while the registry may be changed, seen in its own transaction. */
export function* unlessReadOnly<T>(operation: () => Operation<T>): Operation<T> {
  const row = yield* first(findReadOnly, {});
  if (row !== undefined) throw new RegistryReadOnlyError(row.reason);
  return yield* operation();
}

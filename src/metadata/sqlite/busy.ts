import { SQLiteError } from 'bun:sqlite';

/** Whether another process was in the way, so that the same may succeed a moment later. */
export function isBusy(error: unknown): boolean {
  if (!(error instanceof SQLiteError)) return false;
  const code = error.code ?? '';
  // The second is given where others were in the way again and again.
  return code.startsWith('SQLITE_BUSY') || code === 'SQLITE_PROTOCOL';
}

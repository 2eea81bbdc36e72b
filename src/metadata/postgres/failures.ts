import { DatabaseError } from 'pg';
import { MetadataBusyError, MetadataFullError, type Meetings, UnstorableTextError } from '../store.ts';

/**
 * Two transactions met: the one that is undone may run again (serialization failure, deadlock). Where both have added
 * the same row, or one has removed what the other refers to, PostgreSQL may find the constraint first.
 */
const meetings: ReadonlyMap<string, keyof Meetings> = new Map([
  ['40001', 'serialization'],
  ['40P01', 'deadlock'],
  ['23505', 'constraint'],
  ['23503', 'constraint'],
  ['23P01', 'constraint'],
]);

/**
 * The server is stopping, starting, full of connections, a standby (on which nothing is serializable either), was too slow, or
 * its disk has failed.
 */
const passing = new Set([
  '57014',
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  '53000',
  '53200',
  '53300',
  '25006',
  '55P03',
  '58030',
  '0A000',
]);

/** A text, or one within JSON, has a character that PostgreSQL does not keep. */
const unstorable = new Set(['22021', '22P05']);

/** How a transaction has met another; undefined where it failed for something else. */
export function meetingOf(error: unknown): keyof Meetings | undefined {
  return error instanceof DatabaseError ? meetings.get(error.code ?? '') : undefined;
}

/** Whether a statement has waited for a table for as long as it may. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '55P03';
}

/** Whether the connection is of no more use. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (!(error instanceof DatabaseError)) return isNetworkError(error);
  const code = error.code ?? '';
  return code.startsWith('08') || code.startsWith('57P');
}

/** What the rest of the program understands. */
export function translated(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof DatabaseError) {
    const code = error.code ?? '';
    if (code === '53100') return new MetadataFullError('the disk of the database is full', { cause: error });
    if (passing.has(code) || code.startsWith('08') || meetings.has(code)) {
      return new MetadataBusyError(`the database cannot answer now: ${error.message}`, { cause: error });
    }
    if (unstorable.has(code)) return new UnstorableTextError('a text has a NUL character in it', { cause: error });
    return error;
  }
  if (isNetworkError(error)) {
    // Clients are told, whom its address is no business of.
    const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
    return new MetadataBusyError(`the database cannot be reached${code}`, { cause: error });
  }
  return error;
}

/**
 * The same of a connection that could not be made by a process that has been in before: whatever the server has against it,
 * such as a password that was changed, a certificate that has ended, or a database that is being renamed, is for the operator
 * to mend, and requests wait for that.
 */
export function translatedOfConnecting(error: unknown): unknown {
  if (error instanceof MetadataBusyError) return error;
  const known = translated(error);
  if (known !== error || !(error instanceof Error)) return known;
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
  return new MetadataBusyError(`the database lets nobody in now${code}`, { cause: error });
}

/** What pg itself says of connections that were lost or not had in time, which have no codes. */
const pgWords = [
  'Connection terminated',
  'Client has encountered a connection error',
  'Client was closed',
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Query read timeout',
  'Cannot use a pool after calling end',
];

function isNetworkError(error: Error): boolean {
  if ('code' in error && typeof error.code === 'string' && 'syscall' in error) return true;
  return (
    pgWords.some((words) => error.message.startsWith(words)) ||
    (error instanceof AggregateError && error.errors.some((each) => each instanceof Error && isNetworkError(each)))
  );
}

import { Database } from 'bun:sqlite';
import { S3ServiceException } from '@aws-sdk/client-s3';
import { DatabaseError } from 'pg';
import { translated } from '../../src/blobs/s3/failures.ts';
import { calleeAt, type FailurePoint } from './failure-points.ts';

/**
 * How a call fails: there is no room (ENOSPC), it fails and nothing has happened (EIO, 503, a connection that is cut), or
 * a server has done what it was asked to and its answer is lost.
 */
export type Failure = 'full' | 'error' | 'lost-answer';

/** What the call of a failure point throws where it fails. */
export function failureAt(point: FailurePoint, failure: Failure): unknown {
  const made = `made to fail ${point}`;
  const isFull = failure === 'full';
  switch (calleeAt(point)) {
    case 'sqlite':
      // The others are calls of the system.
      if (point.endsWith('commit')) return sqliteFailure(isFull ? 'SQLITE_FULL' : 'SQLITE_IOERR_FSYNC');
      return systemFailure(isFull ? 'ENOSPC' : 'EIO', made);
    case 'directory':
      return systemFailure(isFull ? 'ENOSPC' : 'EIO', made);
    case 'postgres':
      return isFull ? postgresFailure('53100', made) : new Error('Connection terminated unexpectedly');
    case 'bucket':
      if (failure === 'lost-answer') return translated(systemFailure('ECONNRESET', made));
      return translated(isFull ? bucketFailure('XMinioStorageFull', 507) : bucketFailure('SlowDown', 503));
    case 'client':
      throw new Error('an answer is no call that could fail');
  }
}

function systemFailure(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

function sqliteFailure(code: string): unknown {
  const failure: unknown = Object.create(anySqliteError(), { code: { value: code } });
  return failure;
}

/** Only the runtime makes them. */
function anySqliteError(): Error {
  using database = new Database(':memory:');
  try {
    database.run('made to fail');
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('SQLite has taken what is no statement');
}

function postgresFailure(code: string, message: string): DatabaseError {
  return Object.assign(new DatabaseError(message, message.length, 'error'), { code });
}

function bucketFailure(name: string, httpStatusCode: number): S3ServiceException {
  return new S3ServiceException({ name, message: 'made to fail', $fault: 'server', $metadata: { httpStatusCode } });
}

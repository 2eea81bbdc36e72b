import { type DirectoryCalls, directoryCalls } from '../../src/blobs/directory/calls.ts';
import { type BucketCall, type BucketCalls, bucketCalls } from '../../src/blobs/s3/calls.ts';
import { type HttpCalls, httpCalls } from '../../src/http/requests.ts';
import { type PostgresCalls, postgresCalls } from '../../src/metadata/postgres/calls.ts';
import { type DatabaseCalls, databaseCalls, type SyncFile } from '../../src/metadata/sqlite/calls.ts';
import type { Syncs } from '../../src/stores/syncs.ts';
import { testedBucket, testedPostgres } from '../pairs/pair.ts';

/** `before unlink`, `after commit`: where a test lets the process end or a call fail. */
export type FailurePoint = string;

/** So few that the log is moved into the database again and again. */
const longLogPages = 20;

/** The calls by which rows change on the pair under test, those by which bytes do, and those that tell clients of it. */
const metadataNames = namesOf(testedPostgres === undefined ? databaseCalls : postgresCalls);
const blobNames = namesOf(testedBucket === undefined ? directoryCalls : bucketCalls);
const httpNames = namesOf(httpCalls);

/**
 * Every failure point there is: before and after each call of the tables that all input and output goes through, but for
 * what only a process does that goes on with another's upload (registry/uploads/takeover.ts): these are `takeOverPoints`.
 */
export const failurePoints: readonly FailurePoint[] = [...blobNames, ...metadataNames, ...httpNames].flatMap((name) =>
  name === 'copy' ? [] : [`before ${name}`, `after ${name}`],
);

/** Those of a process that goes on with an upload that another has left; none where it needs nothing special for that. */
export const takeOverPoints: readonly FailurePoint[] =
  testedPostgres !== undefined && testedBucket === undefined ? ['before copy', 'after copy'] : [];

/** What a failure point is about: an answer, or where the call goes that it is before or after. */
export type Callee = 'client' | 'sqlite' | 'postgres' | 'directory' | 'bucket';

export function calleeAt(point: FailurePoint): Callee {
  const name = point.replace(/^(?:before|after) /, '');
  if (httpNames.includes(name)) return 'client';
  if (metadataNames.includes(name)) return testedPostgres === undefined ? 'sqlite' : 'postgres';
  return testedBucket === undefined ? 'directory' : 'bucket';
}

function namesOf(calls: object): readonly string[] {
  return Object.keys(calls);
}

/**
 * The calls of the stores, each of which comes by its two failure points. A call that is new in one of the tables is
 * missing here, which does not compile.
 *
 * @param reach is told of each point; what it throws is what the call fails with: before it is made, or when it is done
 */
export function callsThatReach(reach: (point: FailurePoint) => void): Syncs {
  function during<T>(name: string, run: () => T): T {
    reach(`before ${name}`);
    const result = run();
    reach(`after ${name}`);
    return result;
  }
  async function later<T>(name: string, run: () => Promise<T>): Promise<T> {
    reach(`before ${name}`);
    return await reachedAfter(name, run());
  }
  function either(name: string, run: () => number | Promise<number>): number | Promise<number> {
    reach(`before ${name}`);
    const result = run();
    if (typeof result === 'number') {
      reach(`after ${name}`);
      return result;
    }
    return reachedAfter(name, result);
  }

  async function reachedAfter<T>(name: string, result: Promise<T>): Promise<T> {
    const settled = await result;
    reach(`after ${name}`);
    return settled;
  }

  const blobs: DirectoryCalls = {
    makeDirectory: (path) => during('makeDirectory', () => directoryCalls.makeDirectory(path)),
    syncDirectory: (path) => later('syncDirectory', () => directoryCalls.syncDirectory(path)),
    open: (path, flags, mode) => during('open', () => directoryCalls.open(path, flags, mode)),
    close: (descriptor) => during('close', () => directoryCalls.close(descriptor)),
    cutOff: (descriptor, sizeBytes) => during('cutOff', () => directoryCalls.cutOff(descriptor, sizeBytes)),
    truncate: (path, sizeBytes) => later('truncate', () => directoryCalls.truncate(path, sizeBytes)),
    copy: (from, to) => later('copy', () => directoryCalls.copy(from, to)),
    write: (sink, chunk) => either('write', () => directoryCalls.write(sink, chunk)),
    flush: (sink) => either('flush', () => directoryCalls.flush(sink)),
    end: (sink) => either('end', () => directoryCalls.end(sink)),
    unlink: (path) => later('unlink', () => directoryCalls.unlink(path)),
    overwrite: (descriptor, bytes, position) =>
      later('overwrite', () => directoryCalls.overwrite(descriptor, bytes, position)),
    writeSynced: (path, text, position) => later('writeSynced', () => directoryCalls.writeSynced(path, text, position)),
    syncObject: (descriptor) => later('syncObject', () => directoryCalls.syncObject(descriptor)),
    syncShard: (descriptor) => later('syncShard', () => directoryCalls.syncShard(descriptor)),
  };
  const bucketCall =
    (name: keyof BucketCalls): BucketCall =>
    (send, key) => {
      const made: BucketCall = bucketCalls[name];
      return later(name, () => made(send, key));
    };
  const bucket: BucketCalls = {
    put: bucketCall('put'),
    beginUpload: bucketCall('beginUpload'),
    putPart: bucketCall('putPart'),
    complete: bucketCall('complete'),
    abort: bucketCall('abort'),
    remove: bucketCall('remove'),
  };
  const commit: DatabaseCalls['commit'] = (run) => during('commit', () => databaseCalls.commit(run));
  const sync =
    (name: 'syncLog' | 'syncDatabase'): SyncFile =>
    (descriptor, done) => {
      try {
        reach(`before ${name}`);
      } catch (error) {
        setImmediate(done, error);
        return;
      }
      databaseCalls[name](descriptor, (error) => {
        reach(`after ${name}`);
        done(error);
      });
    };
  const answer: HttpCalls['answer'] = (response) => {
    reach('before answer');
    // The runtime sends it when it gets it back.
    setImmediate(() => reach('after answer'));
    return httpCalls.answer(response);
  };
  const database: DatabaseCalls = {
    commit,
    syncLog: sync('syncLog'),
    checkpoint: (pass) => later('checkpoint', () => databaseCalls.checkpoint(pass)),
    emptyLog: (run) => during('emptyLog', () => databaseCalls.emptyLog(run)),
    syncDatabase: sync('syncDatabase'),
  };
  const postgres: PostgresCalls = {
    statement: (send) => later('statement', () => postgresCalls.statement(send)),
    commit: (send, mustLast) => later('commit', () => postgresCalls.commit(send, mustLast)),
  };
  const http: HttpCalls = { answer };
  return { blobs, bucket, database, postgres, longLogPages, ...http };
}

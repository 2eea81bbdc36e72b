import { expect, test } from 'bun:test';
import { BlobMissingError, BlobStoreFullError } from '../blobs/store.ts';
import { MetadataBrokenError, MetadataBusyError, MetadataFullError, UnstorableTextError } from '../metadata/store.ts';
import { machineFailureOf } from './failures.ts';

test('a full disk is told apart from everything else, whichever store met it', () => {
  expect(machineFailureOf(new BlobStoreFullError('no room for blobs'))).toEqual({
    kind: 'full',
    message: 'no room for blobs',
  });
  expect(machineFailureOf(new MetadataFullError('no room for rows'))).toEqual({
    kind: 'full',
    message: 'no room for rows',
  });
});

test('a locked database is one that may answer a moment later', () => {
  expect(machineFailureOf(new MetadataBusyError('locked'))).toEqual({ kind: 'busy', message: 'locked' });
});

test.each(['EMFILE', 'ENFILE'])('files that cannot be opened for %s may be a moment later', (code) => {
  const error = Object.assign(new Error(`${code}: open`), { code });
  expect(machineFailureOf(error)).toEqual({
    kind: 'busy',
    message: 'the registry has as many files open as the system allows (ulimit -n)',
  });
});

test('a text that no database keeps is no failure of the machine, but of the request', () => {
  expect(machineFailureOf(new UnstorableTextError('NUL'))).toEqual({ kind: 'unstorable', message: 'NUL' });
});

test('a database that can promise nothing any more is told apart from one that is busy', () => {
  expect(machineFailureOf(new MetadataBrokenError('restart'))).toEqual({ kind: 'broken', message: 'restart' });
});

test.each(['EIO', 'SQLITE_IOERR_FSYNC'])('a disk that fails with %s is not a bug', (code) => {
  const error = Object.assign(new Error('i/o error'), { code });
  expect(machineFailureOf(error)).toEqual({ kind: 'faulty', message: `the registry's disk has failed (${code})` });
});

test('a file that went after its row was read is gone (R46)', async () => {
  const error: unknown = await Bun.file('/nowhere/at/all')
    .text()
    .catch((problem: unknown) => problem);
  expect(machineFailureOf(error)).toEqual({ kind: 'gone' });
});

test.each([
  ['a bug', new TypeError('x is undefined')],
  ['an object shorter than its row says', new BlobMissingError('short')],
  ['what is no error', 'full'],
  ['nothing', undefined],
])('%s has no answer of its own', (_, error) => {
  expect(machineFailureOf(error)).toBeUndefined();
});

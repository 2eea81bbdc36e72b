import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectBlobsAt, rememberBlobsAt } from './blobs-place.ts';
import { StartupError } from '../startup-error.ts';

const bucket = { kind: 's3', bucket: 'registry', prefix: 'blobs/' } as const;
const inside = { kind: 'directory' } as const;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-place-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

test('a registry whose blobs lie in a bucket is opened with no other place', () => {
  expectBlobsAt(directory, bucket);
  // Nothing is remembered of a place that could not be opened.
  expectBlobsAt(directory, { ...bucket, bucket: 'other' });
  rememberBlobsAt(directory, bucket);
  expectBlobsAt(directory, bucket);
  expect(() => expectBlobsAt(directory, inside)).toThrow('lie in s3://registry/blobs/, and blobs is set to directory');
  expect(() => expectBlobsAt(directory, { ...bucket, prefix: '' })).toThrow('blobs is set to s3://registry/');
});

test('a registry whose blobs lie in its directory is not opened with a bucket', () => {
  expectBlobsAt(directory, inside);
  rememberBlobsAt(directory, inside);
  mkdirSync(join(directory, 'objects'));
  expectBlobsAt(directory, inside);
  expect(() => expectBlobsAt(directory, bucket)).toThrow('lie in it, and blobs is set to s3://registry/blobs/');
});

test('what cannot be written down is an error for the operator, and leaves nothing that is read later', () => {
  const path = join(directory, 'blobs-place');
  mkdirSync(`${path}.new`);
  expect(() => rememberBlobsAt(directory, bucket)).toThrow(StartupError);
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, '');
  expectBlobsAt(directory, bucket);
  rememberBlobsAt(directory, bucket);
  expect(() => expectBlobsAt(directory, inside)).toThrow('lie in s3://registry/blobs/');
});

import { afterEach, beforeEach, expect, test } from 'bun:test';
import { bucketSettingsAt } from '../../../test/pairs/bucket-settings.ts';
import { Bucket } from './bucket.ts';

const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_CREDENTIAL_EXPIRATION'];
let before: Readonly<Record<string, string | undefined>>;

beforeEach(() => {
  before = Object.fromEntries(names.map((name) => [name, process.env[name]]));
});

afterEach(() => {
  for (const name of names) {
    const value = before[name];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** For how many seconds a URL holds that is to hold for an hour, with credentials that end then. */
async function lifeSeconds(end: Date | undefined): Promise<number | undefined> {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret', AWS_SESSION_TOKEN: 'token' });
  if (end !== undefined) process.env['AWS_CREDENTIAL_EXPIRATION'] = end.toISOString();
  const bucket = new Bucket(bucketSettingsAt({ bucket: 'blobs', prefix: '', endpoint: 'http://127.0.0.1:1' }));
  const url = await bucket.signedUrl('objects/one', 3_600_000);
  return url === undefined ? undefined : Number(new URL(url).searchParams.get('X-Amz-Expires'));
}

test('a URL holds no longer than the credentials with which it is signed', async () => {
  const inMinutes = (minutes: number): Date => new Date(Date.now() + minutes * 60_000);
  const soon = await lifeSeconds(inMinutes(10));
  expect(soon).toBeGreaterThan(500);
  expect(soon).toBeLessThanOrEqual(600);
  expect(await lifeSeconds(inMinutes(120))).toBe(3600);
  expect(await lifeSeconds(inMinutes(-1))).toBeUndefined();
});

test('a URL holds as long as it is to where the credentials have no end', async () => {
  delete process.env['AWS_CREDENTIAL_EXPIRATION'];
  expect(await lifeSeconds(undefined)).toBe(3600);
});

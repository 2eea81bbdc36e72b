import { expect, test } from 'bun:test';
import { loadConfig } from '../config/load.ts';
import type { PlaceConfig } from '../moving/place.ts';
import { placeSettings } from '../moving/place-settings.ts';
import { movedText } from './moved-text.ts';

async function placeWith(blobs: string): Promise<PlaceConfig> {
  return await placeOf({ metadata: 'postgres://wherry@db.example/wherry', blobs });
}

/** What a command line says, or else a configuration file. */
async function placeOf(flags: Readonly<Record<string, string>>, file?: string): Promise<PlaceConfig> {
  const loaded = await loadConfig({
    configFile: file === undefined ? undefined : 'wherry.yaml',
    flags: new Map(Object.entries(flags)),
    env: {},
    readFile: () => Promise.resolve(file ?? ''),
  });
  if (!loaded.ok) throw new Error(loaded.problems.join(', '));
  return loaded.config;
}

const moved = { blobs: 1, blobBytes: 1, blobsThereBefore: 0, rows: 0, pausedMs: 0, damaged: [] };

test('a move from a bucket says what names that bucket on the other machines, and one from a directory need not', async () => {
  const [old, next, directory] = await Promise.all(
    ['s3://old/blobs', 's3://next/blobs', 'directory'].map((blobs) => placeWith(blobs)),
  );
  if (old === undefined || next === undefined || directory === undefined) throw new Error('all are there');
  const told = movedText(moved, { tookMs: 0, from: old, to: next });
  expect(told).toContain('blobs: s3://next/blobs');
  expect(told).toContain('remove the file blobs-place');
  expect(movedText(moved, { tookMs: 0, from: directory, to: next })).not.toContain('blobs-place');
});

const places = {
  'a directory': { data: '/srv/wherry: 2' },
  'PostgreSQL and Amazon': {
    data: '/srv/wherry',
    metadata: 'postgres://wherry@db.example:5433/wherry?sslmode=verify-full&sslrootcert=/etc/ca.pem',
    blobs: 's3://registry/blobs',
    's3.region': 'eu-central-1',
  },
  'a bucket elsewhere': {
    data: '/srv/wherry',
    blobs: 's3://registry',
    's3.endpoint': 'http://127.0.0.1:9000',
    's3.pathStyle': 'off',
  },
  'a bucket with settings of its own': {
    data: '/srv/wherry',
    blobs: 's3://registry',
    's3.profile': 'registry',
    's3.encryption': 'aws:kms:arn:aws:kms:eu-central-1:1:key/one',
    's3.storageClass': 'STANDARD_IA',
    's3.partSize': '16MiB',
    's3.lateWrites': '30m',
    's3.redirect': 'on',
    's3.redirectLife': '5m',
    's3.redirectEndpoint': 'https://s3.example',
    's3.redirectRepositories': 'public/**,shared/*',
    's3.redirectNetworks': '10.0.0.0/8,192.168.0.0/16',
  },
};

test.each(Object.entries(places))('what is printed of %s is a configuration file that has it', async (_, flags) => {
  const [old, next] = await Promise.all([placeOf({ data: '/old' }), placeOf(flags)]);
  const { printed } = settingsIn(movedText(moved, { tookMs: 0, from: old, to: next }));
  const there = await placeOf({}, printed);
  expect(there).toMatchObject({ data: next.data, metadata: next.metadata, blobs: next.blobs, s3: next.s3 });
});

test('of the settings of a bucket none is printed that is as it is by default', async () => {
  const next = await placeOf({ data: '/srv/wherry', blobs: 's3://registry', 's3.region': 'eu-central-1' });
  expect(placeSettings(next).s3).toEqual({ endpoint: 'aws', region: 'eu-central-1', pathStyle: 'off' });
});

test('no password of the database is printed, and it is said where it has to be put', async () => {
  const [old, next] = await Promise.all([
    placeOf({ data: '/old' }),
    placeOf({
      metadata: 'postgres://wherry:not-to-be-shown@db.example/wherry?sslpassword=nor-this&sslmode=require',
    }),
  ]);
  const { told, printed } = settingsIn(movedText(moved, { tookMs: 0, from: old, to: next }));
  expect(told).not.toMatch(/not-to-be-shown|nor-this/);
  expect(told).toContain('PGPASSWORD');
  const { metadata } = await placeOf({}, printed);
  expect(metadata).toEqual({ kind: 'postgres', url: 'postgres://wherry@db.example/wherry?sslmode=require' });
  expect(JSON.stringify(placeSettings(next))).not.toMatch(/not-to-be-shown|nor-this/);
});

/** The paragraph that is to be pasted, and all that is told. */
function settingsIn(told: string): { readonly told: string; readonly printed: string } {
  const printed = told
    .split('\n\n')
    .find((paragraph) => paragraph.includes('\ndata: ') || paragraph.startsWith('data: '));
  if (printed === undefined) throw new Error(told);
  return { told, printed };
}

import { expect, test } from 'bun:test';
import type { Environment } from '../config/environment.ts';
import { placeSettings } from '../moving/place-settings.ts';
import { type GivenOfMove, movedConfigs } from './moved-configs.ts';

interface Given {
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Environment;
  readonly from?: Readonly<Record<string, string>>;
  readonly to?: Readonly<Record<string, string>>;
}

function given({ files = {}, env = {}, from = {}, to = {} }: Given): GivenOfMove {
  return {
    fromFile: 'old' in files ? 'old' : undefined,
    fromFlags: new Map(Object.entries(from)),
    toFile: 'new' in files ? 'new' : undefined,
    toFlags: new Map(Object.entries(to)),
    env,
    readFile: (path) => files[path] ?? '',
  };
}

async function placesOf(options: Given) {
  const loaded = await movedConfigs(given(options));
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return { from: placeSettings(loaded.from), to: placeSettings(loaded.to) };
}

const database = 'postgres://wherry@db/wherry';
const bucket = 's3://registry/blobs/';

/** Everything that says where the registry is stands in the environment, as in a container. */
const container: Environment = {
  WHERRY_DATA: '/var/lib/wherry',
  WHERRY_METADATA: database,
  WHERRY_BLOBS: bucket,
  WHERRY_S3_ENDPOINT: 'http://old:9000',
  WHERRY_S3_REGION: 'eu-old-1',
  WHERRY_S3_PATH_STYLE: 'on',
};

test('what the file of the new place does not name is there as the environment says, since it will be when it is served', async () => {
  const { from, to } = await placesOf({ env: container, files: { new: 'blobs: s3://registry/elsewhere' } });
  expect(to).toEqual({ ...from, blobs: 's3://registry/elsewhere/' });
  expect(from).toMatchObject({ data: '/var/lib/wherry', metadata: database });
});

test('what the file of the new place names is so there, whatever the environment says of the old one', async () => {
  const { to } = await placesOf({
    env: container,
    files: { new: '{ metadata: sqlite, data: /srv/new, s3: { endpoint: "http://new:9000", region: eu-new-1 } }' },
  });
  expect(to).toEqual({
    data: '/srv/new',
    metadata: 'sqlite',
    blobs: bucket,
    s3: { endpoint: 'http://new:9000/', region: 'eu-new-1', pathStyle: 'on' },
  });
});

test('the environment wins over the file of the old place, and a flag of the new place over its file', async () => {
  const files = { old: '{ data: /srv/old, blobs: directory }', new: '{ data: /srv/new, blobs: directory }' };
  const { from, to } = await placesOf({ env: container, files, to: { data: '/srv/newer' } });
  expect(from).toMatchObject({ data: '/var/lib/wherry', blobs: bucket });
  expect(to).toMatchObject({ data: '/srv/newer', blobs: 'directory', metadata: database });
});

test.each<Given>([{}, { files: { new: 'blobs: s3://registry/blobs' } }])(
  'what flags say of the old place is so in the new one, but for what changes: %j',
  async ({ files = {} }) => {
    const flags = { data: '/srv/old', metadata: database, 's3.endpoint': 'http://old:9000/' };
    const to: Readonly<Record<string, string>> = 'new' in files ? {} : { blobs: bucket };
    const places = await placesOf({ from: flags, to, files });
    expect(places.from).toMatchObject({ data: '/srv/old', metadata: database, blobs: 'directory' });
    expect(places.to).toMatchObject({ data: '/srv/old', metadata: database, blobs: bucket });
    expect(places.to.s3).toMatchObject({ endpoint: 'http://old:9000/' });
  },
);

test('whose configuration makes no sense is told', async () => {
  expect(await movedConfigs(given({ files: { old: 'blobs: nowhere' } }))).toMatchObject({ of: 'the registry' });
  expect(await movedConfigs(given({ files: { new: 'blobs: nowhere' } }))).toMatchObject({ of: 'the new place' });
});

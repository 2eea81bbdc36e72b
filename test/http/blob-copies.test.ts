import { expect, test } from 'bun:test';
import { digestOf, freshBytes } from './content.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'copies/blobs';

test('keeps one file of a blob that is pushed twice, and gives the bytes of the second back', async () => {
  await using registry = await ServedRegistry.start();
  const blob = freshBytes();
  await registry.pushBlob(repo, blob);
  await registry.pushBlob('copies/other', blob);
  await registry.stop();
  expect(await registry.objectFiles()).toEqual(
    registry.rows<{ oid: string }>('select oid from object').map(({ oid }) => oid),
  );
  expect(await registry.objectFiles()).toHaveLength(1);
});

test('puts a newly pushed copy in the place of one that is damaged on the disk', async () => {
  await using registry = await ServedRegistry.start();
  const blob = freshBytes();
  const digest = await registry.pushBlob(repo, blob);
  const [file = ''] = await registry.objectFiles();
  await registry.objects.write(file, 'cut');
  expect((await registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(404);
  expect(registry.logged.join('')).toContain('damaged');

  await registry.pushBlob(repo, blob);
  const answer = await registry.send(`/v2/${repo}/blobs/${digest}`);
  expect(digestOf(await answer.bytes())).toBe(digest);
});

import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { patchChunk, repo, sessionOf } from '../http/upload-client.ts';

const mib = 1024 * 1024;
const settings = { 'storage.reserve': '10MiB' };

/** A disk of 100 MiB with so much free. */
function diskWith(freeMib: number) {
  return { freeBytes: freeMib * mib, usedBytes: (100 - freeMib) * mib, totalBytes: 100 * mib };
}

test('under the reserve a new upload is refused with 507, which says how much is free, and everything else goes on', async () => {
  await using registry = await ServedRegistry.start(settings);
  const [config, layer] = [freshBytes(), freshBytes()];
  await registry.pushBlob(repo, config);
  await registry.pushBlob(repo, layer);
  const begun = sessionOf(await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' }));

  registry.disk = diskWith(9);
  await registry.looked();
  const uploads = `/v2/${repo}/blobs/uploads/`;
  const bytes = freshBytes();
  for (const query of ['', `?digest=${digestOf(bytes)}`, `?mount=${digestOf(bytes)}&from=other`]) {
    const body = query.startsWith('?digest') ? bytes : null;
    const refused = await registry.send(uploads + query, { method: 'POST', body });
    expect(refused.headers.get('retry-after')).toBeNull();
    const { message, detail } = await expectRefusal(refused, 507, 'STORAGE_FULL');
    expect(message).toContain('9.0 MiB free, 10 MiB are kept in reserve');
    expect(message).toContain('delete images');
    expect(detail).toMatchObject({ freeBytes: 9 * mib, reserveBytes: 10 * mib });
  }
  expect(registry.rows(`select oid from object where state <> 'live' and state <> 'pending'`)).toEqual([]);

  expect((await registry.send(`/v2/${repo}/blobs/${digestOf(layer)}`)).status).toBe(200);
  const mount = `/v2/other/blobs/uploads/?mount=${digestOf(layer)}&from=${repo}`;
  expect((await registry.send(mount, { method: 'POST' })).status).toBe(201);
  expect((await patchChunk(registry, begun, bytes)).status).toBe(202);
  expect((await registry.send(`${begun}?digest=${digestOf(bytes)}`, { method: 'PUT' })).status).toBe(201);
  expect((await registry.putManifest(repo, 'latest', imageOf(config, layer))).status).toBe(201);
  expect((await registry.send(`/v2/${repo}/manifests/latest`, { method: 'DELETE' })).status).toBe(202);

  registry.disk = diskWith(11);
  await registry.pushBlob(repo, freshBytes());
});

test('a blob in a single request is refused before it is sent where it would leave less than the reserve', async () => {
  await using registry = await ServedRegistry.start(settings);
  registry.disk = diskWith(11);
  await registry.looked();
  await registry.pushBlob(repo, freshBytes(mib));
  const large = freshBytes(mib + 1);
  const refused = await registry.send(`/v2/${repo}/blobs/uploads/?digest=${digestOf(large)}`, {
    method: 'POST',
    body: large,
  });
  expect((await expectRefusal(refused, 507, 'STORAGE_FULL')).message).toContain('the upload has 1.0 MiB');
});

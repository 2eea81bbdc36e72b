import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { z } from 'zod';
import { isWhole, pushImage, pushIndex, remove } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, ociManifest } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, other, prepared, purge, record, repo, why } from './purging.ts';

setDefaultTimeout(60_000);

describe('after a purge of a blob', () => {
  test('nobody gets it, and whoever asks is told of the purge, in every repository', async () => {
    const { registry, secret } = await prepared();
    await using _ = registry;
    const { id, isClean } = await purge(registry, { digests: [secret] });
    expect(isClean).toBe(true);
    for (const name of [repo, other, 'never/seen']) {
      const { message, detail } = await expectRefusal(
        await registry.send(`/v2/${name}/blobs/${secret}`),
        403,
        'DENIED',
      );
      expect(message).toContain(`purge ${id}`);
      expect(message).toContain(why);
      expect(detail).toMatchObject({ purge: id, reason: why, digest: secret });
      expect((await registry.send(`/v2/${name}/blobs/${secret}`, { method: 'HEAD' })).status).toBe(403);
    }
  });

  test('not even the queue of reviews names it, nor the manifests that went with it', async () => {
    const { registry, secret, image, index } = await prepared();
    await using _ = registry;
    // A link that no manifest needs is looked at when its lease is over.
    await registry.send(`/v2/third/app/blobs/uploads/?mount=${secret}&from=${repo}`, { method: 'POST' });
    const named = () => registry.rows<{ key2: string }>('select key2 from task').map(({ key2 }) => key2);
    expect(named()).toContain(secret);
    await purge(registry, { digests: [secret] });
    for (const digest of [secret, image.digest, index.digest]) expect(named()).not.toContain(digest);
  });

  test('whoever asks is told the reason of the purge that is named, where there was more than one', async () => {
    const { registry, secret } = await prepared();
    await using _ = registry;
    await purge(registry, { digests: [secret] });
    await purge(registry, { digests: [secret], reason: 'to be sure' });
    const { message } = await expectRefusal(await registry.send(`/v2/${repo}/blobs/${secret}`), 403, 'DENIED');
    expect(message).toEndWith(': to be sure, purge 2');
  });

  test('its file is gone, and the checker finds nothing', async () => {
    const { registry, secret } = await prepared();
    await using _ = registry;
    const before = await registry.objectFiles();
    await purge(registry, { digests: [secret] });
    expect((await registry.objectFiles()).length).toBe(before.length - 1);
    expect(await findings(registry)).toEqual([]);
  });

  test('images that need it, and indexes above them, name the purge when they are pulled; others are whole', async () => {
    const { registry, secret, image, index, elsewhere, clean } = await prepared();
    await using _ = registry;
    await purge(registry, { digests: [secret] });
    for (const [name, reference] of [
      [repo, 'v1'],
      [repo, image.digest],
      [repo, 'all'],
      [repo, index.digest],
      [other, 'v2'],
      [other, elsewhere.digest],
    ]) {
      const path = `/v2/${name}/manifests/${reference}`;
      expect((await expectRefusal(await registry.send(path), 403, 'DENIED')).message).toContain(why);
      expect((await registry.send(path, { method: 'HEAD' })).status).toBe(403);
    }
    expect(await isWhole(registry, repo, 'clean', clean)).toBe(true);
    await registry.collected();
    expect(await findings(registry)).toEqual([]);
  });

  test('no way of pushing brings it back: not as a blob, by a mount, or in a manifest (R47)', async () => {
    const { registry, bytes, secret, image } = await prepared();
    await using _ = registry;
    await purge(registry, { digests: [secret] });
    const post = async (path: string, body?: Uint8Array<ArrayBuffer>) =>
      await registry.send(path, { method: 'POST', ...(body && { body }) });
    await expectRefusal(await post(`/v2/${repo}/blobs/uploads/?digest=${secret}`, bytes), 403, 'DENIED');
    await expectRefusal(await post(`/v2/new/blobs/uploads/?mount=${secret}&from=${repo}`), 403, 'DENIED');
    await expectRefusal(await post(`/v2/new/blobs/uploads/?mount=${secret}`), 403, 'DENIED');
    const put = await registry.putManifest(repo, 'v1', image.manifest, ociManifest);
    expect((await expectRefusal(put, 403, 'DENIED')).message).toContain(why);
    await registry.collected();
    expect(await findings(registry)).toEqual([]);
  });

  test('an upload that was under way and turns out to be it is refused at its end, and leaves no byte', async () => {
    const { registry, bytes, secret } = await prepared();
    await using _ = registry;
    const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    const session = opened.headers.get('location') ?? '';
    const body = bytes.subarray(0, 3000);
    expect((await registry.send(session, { method: 'PATCH', body })).status).toBe(202);
    const { places, unreached } = await purge(registry, { digests: [secret] });
    // Nothing tells what it is until it ends.
    expect(places.map(({ kind }) => kind)).not.toContain('upload');
    expect(unreached.join('\n')).toContain('1 uploads under way');
    const before = await registry.objectFiles();
    const rest = { method: 'PUT', body: bytes.subarray(3000) };
    await expectRefusal(await registry.send(`${session}?digest=${secret}`, rest), 403, 'DENIED');
    await registry.collected();
    expect((await registry.objectFiles()).length).toBeLessThan(before.length);
    expect(await findings(registry)).toEqual([]);
  });

  test('an upload that was under way and has brought all of it goes at once, and whoever would end it is told why', async () => {
    const { registry, bytes, secret } = await prepared();
    await using _ = registry;
    const sessions: string[] = [];
    for (const body of [bytes, bytes.subarray(0, 4999)]) {
      const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
      const session = opened.headers.get('location') ?? '';
      expect((await registry.send(session, { method: 'PATCH', body })).status).toBe(202);
      sessions.push(session);
    }
    const before = await registry.objectFiles();
    const { places, unreached } = await purge(registry, { digests: [secret] });
    const counts = places.map(({ kind, count }) => `${count} ${kind}`);
    expect(counts).toContain('1 upload');
    expect(counts).toContain('2 object');
    expect(unreached.join('\n')).toContain('1 uploads under way');
    expect((await registry.objectFiles()).length).toBe(before.length - 2);
    const [whole, part] = sessions;
    await expectRefusal(await registry.send(`${whole}`), 404, 'BLOB_UPLOAD_UNKNOWN');
    await expectRefusal(await registry.send(`${whole}?digest=${secret}`, { method: 'PUT' }), 403, 'DENIED');
    expect((await registry.send(`${part}`)).status).toBe(204);
    expect(await findings(registry)).toEqual([]);
  });

  test('an upload of an earlier process that has brought all of it goes too, whatever its row says', async () => {
    const { registry, bytes, secret } = await prepared();
    await using _ = registry;
    const sessions: string[] = [];
    for (const body of [bytes, bytes, bytes.subarray(0, 4999), freshBytes(5000)]) {
      const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
      const session = opened.headers.get('location') ?? '';
      expect((await registry.send(session, { method: 'PATCH', body })).status).toBe(202);
      sessions.push(session);
    }
    await registry.stop();
    // As where it was killed before it had written down how far it has come.
    registry.tables.change('update upload set offset_bytes = 0 where id = ?', sessions[1]?.split('/').at(-1) ?? '');
    await registry.resume();
    const { places, unreached, isClean } = await purge(registry, { digests: [secret] });
    expect(isClean).toBe(true);
    const counts = places.map(({ kind, count }) => `${count} ${kind}`);
    expect(counts).toContain('2 upload');
    expect(counts).toContain('3 object');
    expect(unreached.join('\n')).toContain('2 uploads under way');
    const statuses: number[] = [];
    for (const session of sessions) statuses.push((await registry.send(session)).status);
    expect(statuses).toEqual([404, 404, 204, 204]);
    const whole = `${sessions[0]}?digest=${secret}`;
    await expectRefusal(await registry.send(whole, { method: 'PUT' }), 403, 'DENIED');
    expect(await findings(registry)).toEqual([]);
  });

  test('a closing PUT that is repeated is not told any more that it has succeeded', async () => {
    const { registry, bytes, secret } = await prepared();
    await using _ = registry;
    const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    const path = `${opened.headers.get('location')}?digest=${secret}`;
    const put = async () => await registry.send(path, { method: 'PUT', body: bytes });
    expect((await put()).status).toBe(201);
    await purge(registry, { digests: [secret] });
    expect((await expectRefusal(await put(), 403, 'DENIED')).message).toContain(why);
    expect(registry.rows('select id from upload where result_digest = ?', secret)).toEqual([]);
    await registry.admin('POST', '/purge/lift', { digests: [secret], reason: 'why not' });
    await expectRefusal(await put(), 404, 'BLOB_UPLOAD_UNKNOWN');
  });

  test('no pin holds what is gone, or what comes in its place; others stay', async () => {
    const { registry, secret, image, elsewhere } = await prepared();
    await using _ = registry;
    const kept = [repo, `${repo}:clean`];
    for (const target of [
      `${repo}:v1`,
      `${repo}@${image.digest}`,
      `${repo}:all`,
      `${other}@${elsewhere.digest}`,
      ...kept,
    ]) {
      expect((await registry.admin('POST', '/pins', { target, reason: 'a release' })).status).toBe(200);
    }
    await purge(registry, { digests: [secret] });
    const pins: unknown = await (await registry.admin('GET', '/pins')).json();
    const left = z.object({ pins: z.array(z.object({ target: z.string() })) }).parse(pins);
    expect(left.pins.map(({ target }) => target).sort()).toEqual(kept);
    const events = registry.rows<{ reason: string }>("select reason from event where kind = 'unpinned'");
    expect(events.map(({ reason }) => reason)).toEqual(Array.from({ length: 4 }, () => `purge 1: ${why}`));
    expect(await findings(registry)).toEqual([]);
  });

  test('a tag that is pushed again leads to what was pushed, and a later delete of it is an ordinary one', async () => {
    const { registry, secret } = await prepared();
    await using _ = registry;
    await purge(registry, { digests: [secret] });
    const again = await pushImage(registry, repo, { tags: ['v1'] });
    expect(await isWhole(registry, repo, 'v1', again)).toBe(true);
    expect((await remove(registry, repo, 'v1')).status).toBe(202);
    await expectRefusal(await registry.send(`/v2/${repo}/manifests/v1`), 404, 'MANIFEST_UNKNOWN');
  });

  test('an index that was pushed while its image was in the trash names the purge, too', async () => {
    await using registry = await ServedRegistry.start({ 'manifests.sparse': 'allow' });
    const bytes = freshBytes(5000);
    const image = await pushImage(registry, repo, { tags: ['v1'], layers: [bytes] });
    await remove(registry, repo, image.digest);
    await pushIndex(registry, repo, ['late'], image);
    await purge(registry, { digests: [digestOf(bytes)] });
    const pulled = await registry.send(`/v2/${repo}/manifests/late`);
    expect((await expectRefusal(pulled, 403, 'DENIED')).message).toContain(why);
    expect(await findings(registry)).toEqual([]);
  });

  test('what was in the trash with it cannot be restored', async () => {
    const { registry, secret, elsewhere } = await prepared();
    await using _ = registry;
    await remove(registry, other, elsewhere.digest);
    await purge(registry, { digests: [secret] });
    const restored = await registry.admin('POST', '/trash/restore', { target: `${other}@${elsewhere.digest}` });
    expect((await expectRefusal(restored, 403, 'DENIED')).message).toContain(why);
  });

  test('what nothing else needs of its images goes by itself', async () => {
    const { registry, secret } = await prepared();
    await using _ = registry;
    await purge(registry, { digests: [secret] });
    registry.clock.advance(60 * 86_400_000);
    await registry.collected();
    registry.clock.advance(86_400_000);
    await registry.collected();
    expect(await findings(registry)).toEqual([]);
    const tags = await registry.send(`/v2/${other}/tags/list`);
    expect(tags.status).toBe(404);
  });

  test('it may come again once an administrator lifts that, and its images are just not there', async () => {
    const { registry, secret, bytes, image } = await prepared();
    await using _ = registry;
    const { id } = await purge(registry, { digests: [secret] });
    await expectRefusal(await registry.admin('POST', '/purge/lift', { digests: [secret] }), 400, 'UNSUPPORTED');
    const lifted = await registry.admin('POST', '/purge/lift', { digests: [secret], reason: 'it was revoked' });
    expect(lifted.status).toBe(200);
    await expectRefusal(await registry.send(`/v2/${repo}/blobs/${secret}`), 404, 'BLOB_UNKNOWN');
    await expectRefusal(await registry.send(`/v2/${repo}/manifests/v1`), 404, 'MANIFEST_UNKNOWN');
    await registry.pushBlob(repo, bytes);
    for (const blob of image.blobs) expect(blob).toStartWith('sha256:');
    const shown = record.parse(await (await registry.admin('GET', `/purges/record?id=${id}`)).json());
    expect(shown.digests[0]?.lifted?.reason).toBe('it was revoked');
    const again = await registry.admin('POST', '/purge/lift', { digests: [secret], reason: 'once more' });
    await expectRefusal(again, 404, 'BLOB_UNKNOWN');
    expect(await findings(registry)).toEqual([]);
  });
});

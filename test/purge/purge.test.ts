import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { z } from 'zod';
import { pushImage, pushIndex, remove, isWhole } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex, ociManifest } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, linesOf, purge, record, why } from './purging.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';
const other = 'team/other';
/** A secret in an image of one repository, in an index above it, and in an image of another one. */
async function prepared() {
  const registry = await ServedRegistry.start();
  const bytes = freshBytes(5000);
  const image = await pushImage(registry, repo, { tags: ['v1'], layers: [bytes] });
  const index = await pushIndex(registry, repo, ['all'], image);
  const elsewhere = await pushImage(registry, other, { tags: ['v2'], layers: [bytes] });
  const clean = await pushImage(registry, repo, { tags: ['clean'] });
  return { registry, bytes, secret: digestOf(bytes), image, index, elsewhere, clean };
}

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

describe('a purge of a manifest', () => {
  test('removes its bytes from the database, from its free pages and from its log', async () => {
    await using registry = await ServedRegistry.start();
    const config = freshBytes();
    await registry.pushBlob(repo, config);
    const secret = `password-${crypto.randomUUID()}`;
    // One that takes pages of its own, and one that shares a page with others.
    for (const [tag, padding] of [
      ['large', 20_000],
      ['small', 1],
    ] as const) {
      const annotations = { secret, padding: 'x'.repeat(padding) };
      const manifest = JSON.stringify({ ...imageOf(config), annotations });
      await registry.putManifest(repo, tag, manifest, ociManifest);
    }
    expect(await isInDatabase(registry, secret)).toBe(true);
    await purge(registry, { images: [`${repo}:large`, `${repo}:small`] });
    expect(await isInDatabase(registry, secret)).toBe(false);
    await expectRefusal(await registry.send(`/v2/${repo}/manifests/large`), 403, 'DENIED');
    expect(await findings(registry)).toEqual([]);
  });

  test('removes those that have a purged blob in themselves from there as well', async () => {
    await using registry = await ServedRegistry.start();
    const [config, secret] = [freshBytes(), freshBytes(300)];
    await registry.pushBlob(repo, config);
    await registry.pushBlob(repo, secret);
    const data = Buffer.from(secret).toString('base64');
    const image = imageOf(config, secret);
    const layers = image.layers.map((layer) => ({ ...layer, data }));
    expect((await registry.putManifest(repo, 'v1', { ...image, layers })).status).toBe(201);
    expect(await isInDatabase(registry, data)).toBe(true);
    await purge(registry, { digests: [digestOf(secret)] });
    expect(await isInDatabase(registry, data)).toBe(false);
  });

  test('takes with an image only what no other image needs, unless that is wanted', async () => {
    await using registry = await ServedRegistry.start();
    const shared = freshBytes();
    const image = await pushImage(registry, repo, { tags: ['v1'], layers: [shared] });
    const neighbour = await pushImage(registry, other, { tags: ['v2'], layers: [shared] });
    const planned = await registry.admin('POST', '/purge/plan', { images: [`${repo}:v1`] });
    const plan = JSON.stringify(await linesOf(planned));
    expect(plan).toContain(
      `"digest":"${digestOf(shared)}","kind":"blob","sharedWith":"${other}@${neighbour.digest}","isTaken":false`,
    );
    const { digests } = await purge(registry, { images: [`${repo}:v1`] });
    expect(digests.map(({ digest }) => digest).sort()).toEqual(
      [image.digest, ...image.blobs.filter((blob) => blob !== digestOf(shared))].sort(),
    );
    expect(await isWhole(registry, other, 'v2', neighbour)).toBe(true);
    await purge(registry, { images: [`${other}:v2`], shared: true });
    await expectRefusal(await registry.send(`/v2/${other}/blobs/${digestOf(shared)}`), 403, 'DENIED');
    expect(await findings(registry)).toEqual([]);
  });
});

describe('what is not purged with it', () => {
  const longerThanALease = 7 * 3_600_000;

  test('of an index that is: its images go when their lease is over, not as ones that wait for a first tag', async () => {
    await using registry = await ServedRegistry.start();
    const image = await pushImage(registry, repo);
    const index = await pushIndex(registry, repo, ['all'], image);
    await purge(registry, { digests: [index.digest] });
    expect(await isWhole(registry, repo, image.digest, image)).toBe(true);
    registry.clock.advance(longerThanALease);
    await registry.collected();
    await expectRefusal(await registry.send(`/v2/${repo}/manifests/${image.digest}`), 404, 'MANIFEST_UNKNOWN');
    await registry.collected();
    expect(await findings(registry)).toEqual([]);
  });

  test('of an image that is: what refers to it goes when its lease is over, and so does what a tag says about it', async () => {
    await using registry = await ServedRegistry.start();
    const image = await pushImage(registry, repo, { tags: ['v1'] });
    const referrer = await pushImage(registry, repo, { subject: image });
    const signature = await pushImage(registry, repo, { tags: [`${image.digest.replace(':', '-')}.sig`] });
    const plan = await (await registry.admin('POST', '/purge/plan', { digests: [image.digest] })).text();
    expect(plan).toContain(`"kind":"referrer","repository":"${repo}","digest":"${referrer.digest}"`);
    await purge(registry, { digests: [image.digest] });
    registry.clock.advance(longerThanALease);
    await registry.collected();
    registry.clock.advance(longerThanALease);
    await registry.collected();
    for (const { digest } of [referrer, signature]) {
      await expectRefusal(await registry.send(`/v2/${repo}/manifests/${digest}`), 404, 'MANIFEST_UNKNOWN');
    }
    expect(await findings(registry)).toEqual([]);
  });

  test('nothing is, where an index or an image lists what is purged and was never here', async () => {
    await using registry = await ServedRegistry.start({ 'manifests.sparse': 'allow' });
    const [child, layer] = [JSON.stringify(imageOf(freshBytes())), freshBytes()];
    const config = freshBytes();
    await registry.pushBlob(repo, config);
    await registry.putManifest(repo, 'index', JSON.stringify(indexOf(child)), ociIndex);
    await registry.putManifest(repo, 'image', JSON.stringify(imageOf(config, layer)), ociManifest);
    await purge(registry, { digests: [digestOf(child), digestOf(layer)] });
    for (const tag of ['index', 'image']) {
      await expectRefusal(await registry.send(`/v2/${repo}/manifests/${tag}`), 403, 'DENIED');
    }
    expect(await findings(registry)).toEqual([]);
  });
});

describe('a purge', () => {
  test('without a reason, of nothing, or of an image that is not there is refused, and changes nothing', async () => {
    const { registry, secret } = await prepared();
    await using _ = registry;
    for (const reason of [undefined, '', '  ']) {
      const answer = await registry.admin('POST', '/purge', {
        digests: [secret],
        ...(reason !== undefined && { reason }),
      });
      expect((await expectRefusal(answer, 400, 'UNSUPPORTED')).message).toContain('reason');
    }
    await expectRefusal(await registry.admin('POST', '/purge', { reason: why }), 400, 'UNSUPPORTED');
    await expectRefusal(
      await registry.admin('POST', '/purge', { reason: why, digests: ['sha256:1'] }),
      400,
      'UNSUPPORTED',
    );
    const unknown = await registry.admin('POST', '/purge', { reason: why, images: [`${repo}:no`], digests: [secret] });
    await expectRefusal(unknown, 404, 'MANIFEST_UNKNOWN');
    expect((await registry.send(`/v2/${repo}/blobs/${secret}`)).status).toBe(200);
    await expectRefusal(await registry.admin('GET', '/purges/record?id=1'), 404, 'UNSUPPORTED');
  });

  test('of what was never here keeps it out all the same', async () => {
    await using registry = await ServedRegistry.start();
    const bytes = freshBytes();
    const { places } = await purge(registry, { digests: [digestOf(bytes)] });
    expect(places).toEqual([]);
    const pushed = await registry.send(`/v2/${repo}/blobs/uploads/?digest=${digestOf(bytes)}`, {
      method: 'POST',
      body: bytes,
    });
    await expectRefusal(pushed, 403, 'DENIED');
  });

  test('takes what is condemned, too', async () => {
    const { registry, bytes, secret } = await prepared();
    await using _ = registry;
    const blob = await registry.pushBlob('only/here', freshBytes(3000));
    expect((await registry.send(`/v2/only/here/blobs/${blob}`, { method: 'DELETE' })).status).toBe(202);
    await registry.collected();
    expect(bytes.byteLength).toBe(5000);
    const { places } = await purge(registry, { digests: [blob, secret] });
    expect(places.map(({ kind, count }) => `${count} ${kind}`)).toContain('2 object');
    expect(await findings(registry)).toEqual([]);
  });

  test('lists before it acts all that it would hit, and has hit it', async () => {
    const { registry, secret, image, index } = await prepared();
    await using _ = registry;
    const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    expect(opened.status).toBe(202);
    const plan = await linesOf(await registry.admin('POST', '/purge/plan', { digests: [secret] }));
    expect(plan.at(-1)).toMatchObject({
      summary: {
        digests: 1,
        objects: 1,
        links: 2,
        manifests: 3,
        tags: 3,
        uploads: 1,
        repositories: 2,
      },
    });
    expect(JSON.stringify(plan)).toContain(index.digest);
    expect((await registry.send(`/v2/${repo}/manifests/${image.digest}`, { method: 'HEAD' })).status).toBe(200);
    const { id } = await purge(registry, { digests: [secret] });
    const places = await linesOf(await registry.admin('GET', `/purges/places?id=${id}`));
    const named = plan.flatMap((line) => z.object({ place: z.unknown() }).safeParse(line).data?.place ?? []);
    const byText = (each: readonly unknown[]) => each.map((one) => sortedText(one)).sort();
    // An upload of which nobody knows what it holds is told of, and is no place.
    const known = named.filter((one) => z.object({ kind: z.string() }).parse(one).kind !== 'upload');
    expect(byText(places)).toEqual(byText(known));
  });

  test('has a record that tells who pulled what was purged, and stays when events go', async () => {
    const { registry, secret, image } = await prepared();
    await using _ = registry;
    for (let pull = 0; pull < 3; pull++) await registry.send(`/v2/${repo}/manifests/v1`);
    const { id } = await purge(registry, { digests: [secret] });
    registry.clock.advance(1000 * 86_400_000);
    await registry.collected();
    const places = await linesOf(await registry.admin('GET', `/purges/places?id=${id}`));
    expect(JSON.stringify(places)).toMatch(new RegExp(`"digest":"${image.digest}"[^}]*"pulls":3`));
    const listed = z.object({ purges: z.array(record) }).parse(await (await registry.admin('GET', '/purges')).json());
    expect(listed.purges.map((each) => each.id)).toEqual([id]);
  });

  test('is what explains why something is not here, when its events are long gone', async () => {
    const { registry, secret, image } = await prepared();
    await using _ = registry;
    const { id } = await purge(registry, { digests: [secret] });
    registry.clock.advance(1000 * 86_400_000);
    await registry.collected();
    for (const target of [secret, `${repo}:v1`, `${repo}@${image.digest}`]) {
      const explained = await (await registry.admin('GET', `/explain?target=${encodeURIComponent(target)}`)).json();
      expect(explained).toMatchObject({ exists: false, purges: [{ id, reason: why, keptOut: true }] });
    }
  });

  test('counts in no quota any more', async () => {
    await using registry = await ServedRegistry.start();
    await registry.limit([{ name: 'all', repositories: ['**'], bytes: { hard: '1 MiB' }, tags: { hard: 10 } }]);
    await registry.counted();
    const bytes = freshBytes(5000);
    await pushImage(registry, repo, { tags: ['v1'], layers: [bytes] });
    await purge(registry, { images: [`${repo}:v1`] });
    expect(await findings(registry)).toEqual([]);
  });
});

/** The fields of something in the order of their names. */
function sortedText(one: unknown): string {
  const fields = Object.entries(z.record(z.string(), z.unknown()).parse(one));
  return JSON.stringify(fields.sort(([a], [b]) => a.localeCompare(b)));
}

/** Whether a text is in the database's files. */
async function isInDatabase(registry: ServedRegistry, text: string): Promise<boolean> {
  for (const file of ['wherry.db', 'wherry.db-wal']) {
    const bytes = Buffer.from(await Bun.file(`${registry.dataDirectory}/${file}`).arrayBuffer());
    if (bytes.includes(text)) return true;
  }
  return false;
}

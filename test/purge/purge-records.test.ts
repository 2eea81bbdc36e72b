import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { z } from 'zod';
import { pushImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, linesOf, prepared, purge, record, repo, why } from './purging.ts';

setDefaultTimeout(60_000);

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

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { z } from 'zod';
import { digestOf, emptyJson, freshBytes, imageOf, ociIndex, ociManifest } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

let registry: ServedRegistry;
const repo = 'refs/image';
const empty = new TextEncoder().encode('{}');
const subject = { mediaType: ociManifest, digest: digestOf('never pushed'), size: 12 };
// A plus sign that is not quoted in a Link comes back as a space.
const signature = 'application/vnd.example.signature.v1+json';
const sbom = 'application/vnd.example.sbom';

beforeAll(async () => {
  registry = await ServedRegistry.start();
  await registry.pushBlob(repo, empty);
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

/** An artifact that refers to a subject; each note makes another one. */
function artifact(about: { readonly digest: string }, artifactType: string, note: string): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: ociManifest,
    artifactType,
    config: { mediaType: emptyJson, digest: digestOf(empty), size: empty.byteLength },
    layers: [],
    subject: { ...subject, ...about },
    annotations: { note, grüße: '"\\' },
  });
}

async function push(text: string): Promise<Response> {
  const answer = await registry.putManifest(repo, digestOf(text), text);
  expect(answer.status).toBe(201);
  return answer;
}

const indexSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.literal(ociIndex),
  manifests: z.array(z.looseObject({ digest: z.string() })),
});

async function referrers(path: string) {
  const answer = await registry.send(path);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe(ociIndex);
  const { manifests } = indexSchema.parse(await answer.json());
  return { manifests, digests: manifests.map(({ digest }) => digest), headers: answer.headers };
}

test('lists who refers to a subject, which itself need not be there', async () => {
  const text = artifact(subject, signature, 'one');
  expect((await push(text)).headers.get('oci-subject')).toBe(subject.digest);
  const { manifests } = await referrers(`/v2/${repo}/referrers/${subject.digest}`);
  expect(manifests).toEqual([
    {
      mediaType: ociManifest,
      digest: digestOf(text),
      size: Buffer.byteLength(text),
      artifactType: signature,
      annotations: { note: 'one', grüße: '"\\' },
    },
  ]);
});

test('takes the type of an artifact that names none from its config', async () => {
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  const about = { ...subject, digest: digestOf('by config') };
  const image = imageOf(config);
  await push(JSON.stringify({ ...image, subject: about }));
  const { manifests } = await referrers(`/v2/${repo}/referrers/${about.digest}`);
  expect(manifests).toMatchObject([{ artifactType: image.config.mediaType }]);
  expect(manifests[0]).not.toHaveProperty('annotations');
});

test('filters by artifact type, says so, and keeps the filter from page to page', async () => {
  const about = { digest: digestOf('filtered') };
  const wanted: string[] = [];
  for (const note of ['1', '2', '3']) {
    const text = artifact(about, signature, note);
    wanted.push(digestOf(text));
    await push(text);
    await push(artifact(about, sbom, note));
  }
  const path = `/v2/${repo}/referrers/${about.digest}`;
  expect((await referrers(path)).digests).toHaveLength(6);

  const query = `artifactType=${encodeURIComponent(signature)}`;
  const all = await referrers(`${path}?${query}`);
  expect(all.headers.get('oci-filters-applied')).toBe('artifactType');
  expect(all.digests).toEqual(wanted.toSorted());

  const found: string[] = [];
  for (let next: string | undefined = `${path}?${query}&n=2`; next !== undefined;) {
    const page = await referrers(next);
    expect(page.digests.length).toBeLessThanOrEqual(2);
    expect(page.headers.get('oci-filters-applied')).toBe('artifactType');
    found.push(...page.digests);
    next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
  }
  expect(found).toEqual(wanted.toSorted());
  expect((await referrers(`${path}?artifactType=none`)).digests).toEqual([]);
});

test.each(['x', '€'])('splits a list of "%s" that would be larger than a client accepts', async (character) => {
  const about = { digest: digestOf(`large ${character}`) };
  const text = character.repeat(1_000_000 / Buffer.byteLength(character));
  const annotations = Array.from({ length: 5 }, (_unused, index) => `${index}${text}`);
  for (const note of annotations) await push(artifact(about, sbom, note));
  const found: string[] = [];
  let pages = 0;
  for (let next: string | undefined = `/v2/${repo}/referrers/${about.digest}`; next !== undefined; pages += 1) {
    const page = await referrers(next);
    expect(Buffer.byteLength(JSON.stringify(page.manifests))).toBeLessThan(4 * 1024 * 1024);
    found.push(...page.digests);
    next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
  }
  expect(new Set(found).size).toBe(5);
  expect(pages).toBe(2);
});

test('answers with an empty index where nobody refers, in a repository known or not', async () => {
  for (const name of [repo, 'unknown/repository']) {
    expect((await referrers(`/v2/${name}/referrers/${digestOf('nobody')}`)).digests).toEqual([]);
  }
});

test('does not list what was deleted', async () => {
  const about = { digest: digestOf('deleted') };
  const text = artifact(about, sbom, 'x');
  await push(text);
  expect((await registry.send(`/v2/${repo}/manifests/${digestOf(text)}`, { method: 'DELETE' })).status).toBe(202);
  expect((await referrers(`/v2/${repo}/referrers/${about.digest}`)).digests).toEqual([]);
});

test('refuses a subject that is no digest', async () => {
  await expectRefusal(await registry.send(`/v2/${repo}/referrers/latest`), 400, 'DIGEST_INVALID');
});

test('lists an index that refers, and in its own repository only', async () => {
  const about = { ...subject, digest: digestOf('with an index') };
  const index = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [], subject: about });
  expect((await registry.putManifest(repo, digestOf(index), index, ociIndex)).headers.get('oci-subject')).toBe(
    about.digest,
  );
  const { manifests } = await referrers(`/v2/${repo}/referrers/${about.digest}`);
  expect(manifests).toEqual([{ mediaType: ociIndex, digest: digestOf(index), size: index.length }]);
  expect((await referrers(`/v2/refs/other/referrers/${about.digest}`)).digests).toEqual([]);
});

test('pages without a filter too, and gives an empty page to somebody who asks for none', async () => {
  const about = { digest: digestOf('paged') };
  const all = ['1', '2', '3'].map((note) => artifact(about, sbom, note));
  for (const text of all) await push(text);
  const sorted = all.map((text) => digestOf(text)).toSorted();
  const path = `/v2/${repo}/referrers/${about.digest}`;
  const first = await referrers(`${path}?n=2`);
  expect(first.digests).toEqual(sorted.slice(0, 2));
  expect(first.headers.has('oci-filters-applied')).toBe(false);
  const next = /^<([^>]+)>; rel="next"$/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
  const second = await referrers(next);
  expect(second.digests).toEqual(sorted.slice(2));
  expect(second.headers.has('link')).toBe(false);
  expect((await referrers(`${path}?n=0`)).digests).toEqual([]);
});

test('lists a referrer again once it has been pushed again', async () => {
  const about = { digest: digestOf('back') };
  const text = artifact(about, sbom, 'x');
  await push(text);
  await registry.send(`/v2/${repo}/manifests/${digestOf(text)}`, { method: 'DELETE' });
  await push(text);
  expect((await referrers(`/v2/${repo}/referrers/${about.digest}`)).digests).toEqual([digestOf(text)]);
});

test('gives a thousand referrers at once at most, whatever number the client asks for', async () => {
  const about = { digest: digestOf('many') };
  const all = Array.from({ length: 1001 }, (_unused, index) => artifact(about, sbom, String(index)));
  await Promise.all(all.map(push));
  const first = await referrers(`/v2/${repo}/referrers/${about.digest}?n=5000`);
  expect(first.digests).toHaveLength(1000);
  const next = /^<([^>]+)>; rel="next"$/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
  expect([...first.digests, ...(await referrers(next)).digests]).toEqual(all.map((text) => digestOf(text)).toSorted());
});

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { pushImage, pushIndex, remove, type PushedImage } from '../admin/pushed-images.ts';
import { digestOf, imageOf, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { askPlan, namesOf, nameOf, type PlannedItem } from './asked-plan.ts';

const hour = 3_600_000;
const day = 24 * hour;

let registry: ServedRegistry;
beforeEach(async () => {
  registry = await ServedRegistry.start({ 'windows.trash': '1d', 'windows.neverTagged': '30d' });
});
afterEach(async () => await registry[Symbol.asyncDispose]());

const noRails = { tagsPerDay: '100%', bytesPerDay: '100%', mayPruneLastTag: true, grace: '0', untaggedGrace: '0' };
const pruneAll: PolicyDefinition = {
  repositories: '**',
  default: 'prune',
  rules: [{ action: 'prune', tagState: 'untagged' }],
  rails: noRails,
};

function keeping(rule: object): PolicyDefinition {
  return { ...pruneAll, rules: [{ action: 'keep', ...rule }] };
}

async function planned(...policies: PolicyDefinition[]) {
  return await askPlan(registry, { policies, all: true });
}

async function itemOf(name: string): Promise<PlannedItem | undefined> {
  return (await planned(pruneAll)).items.find((item) => nameOf(item) === name);
}

function timeNow(): string {
  return new Date(registry.clock.now()).toISOString();
}

async function pull(repo: string, reference: string): Promise<void> {
  expect((await registry.send(`/v2/${repo}/manifests/${reference}`)).status).toBe(200);
}

/** Pushes a manifest of blobs, which it then has in common with others. */
async function pushOf(repo: string, tag: string | undefined, ...blobs: Uint8Array[]): Promise<string> {
  for (const blob of blobs) await registry.pushBlob(repo, blob);
  const [config = new Uint8Array(), ...layers] = blobs;
  const text = JSON.stringify({ ...imageOf(config, ...layers), annotations: { nonce: String(Math.random()) } });
  expect((await registry.putManifest(repo, tag ?? digestOf(text), text)).status).toBe(201);
  return digestOf(text);
}

describe('the times that a tag is judged by', () => {
  test('a pull by another tag or by the digest counts for it, also while it is only in memory', async () => {
    const image = await pushImage(registry, 'a', { tags: ['x', 'y'] });
    const pushedAt = timeNow();
    registry.clock.advance(day);
    await pull('a', 'y');
    expect(await itemOf('a:x')).toMatchObject({ pushedAt, taggedAt: pushedAt, pulledAt: timeNow(), usedAt: timeNow() });
    registry.clock.advance(day);
    await pull('a', image.digest);
    expect(await itemOf('a:x')).toMatchObject({ pulledAt: timeNow() });
    expect(await itemOf('a:y')).toMatchObject({ pulledAt: timeNow() });
  });

  test('a pull of a child of an index, at any depth, counts; one of a referrer does not', async () => {
    const child = await pushImage(registry, 'a');
    const inner = await pushIndex(registry, 'a', [], child);
    const text = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          mediaType: 'application/vnd.oci.image.index.v1+json',
          digest: inner.digest,
          size: inner.manifest.length,
        },
      ],
    });
    const type = 'application/vnd.oci.image.index.v1+json';
    expect((await registry.putManifest('a', 'x', text, type)).status).toBe(201);
    const referrer = await pushImage(registry, 'a', { subject: { manifest: text, digest: digestOf(text), blobs: [] } });
    registry.clock.advance(day);
    await pull('a', referrer.digest);
    expect((await itemOf('a:x'))?.pulledAt).toBeUndefined();
    await pull('a', child.digest);
    expect((await itemOf('a:x'))?.pulledAt).toBe(timeNow());
  });

  test('a HEAD by a client that may push counts as a push; a tag on an old digest is tagged anew, one pushed again is not', async () => {
    const { manifest } = await pushImage(registry, 'a', { tags: ['x'] });
    const pushedAt = timeNow();
    registry.clock.advance(day);
    await registry.putManifest('a', 'y', manifest);
    await registry.send('/v2/a/manifests/x', { method: 'HEAD' });
    expect(await itemOf('a:x')).toMatchObject({ pushedAt: timeNow(), taggedAt: pushedAt });
    expect(await itemOf('a:y')).toMatchObject({ pushedAt: timeNow(), taggedAt: timeNow() });
    registry.clock.advance(day);
    await registry.putManifest('a', 'x', manifest);
    expect(await itemOf('a:x')).toMatchObject({ pushedAt: timeNow(), taggedAt: pushedAt });
  });

  test('an untagged manifest has the time of its last HEAD; one that has lost its tag is on its way out already', async () => {
    const image = await pushImage(registry, 'a');
    const tagged = await pushImage(registry, 'a', { tags: ['x'] });
    registry.clock.advance(day);
    await registry.send(`/v2/a/manifests/${image.digest}`, { method: 'HEAD' });
    await remove(registry, 'a', 'x');
    expect((await itemOf(`a@${image.digest}`))?.pushedAt).toBe(timeNow());
    expect(await itemOf(`a@${tagged.digest}`)).toBeUndefined();
  });
});

describe('what goes with something else is not selected', () => {
  test('children of an index, referrers and tags about a manifest; a tag on a child is', async () => {
    const child = await pushImage(registry, 'a', { tags: ['arch'] });
    const other = await pushImage(registry, 'a');
    const index = await pushIndex(registry, 'a', ['x'], child, other);
    const referrer = await pushImage(registry, 'a', { subject: index });
    const signature = `${index.digest.replace(':', '-')}.sig`;
    await pushImage(registry, 'a', { tags: [signature] });
    const plan = await planned(pruneAll);
    expect(namesOf(plan, 'goes').toSorted()).toEqual(['a:arch', 'a:x']);
    expect(plan.items.filter(({ outcome }) => outcome === 'stays').map((item) => [nameOf(item), item.rule])).toEqual([
      [`a:${signature}`, 'follows'],
      ...[other.digest, referrer.digest].toSorted().map((digest) => [`a@${digest}`, 'follows']),
    ]);
    // Two blobs each of two children, the referrer and what the signature's tag keeps.
    expect(plan.total).toMatchObject({ goingTags: 2, freesBytes: 800, freesBlobs: 8 });
  });

  test('a tag about a manifest that is not here is one like any other', async () => {
    await pushImage(registry, 'a', { tags: [`sha256-${'0'.repeat(64)}.sig`] });
    expect(namesOf(await planned(pruneAll), 'goes')).toHaveLength(1);
  });
});

test('what is pinned stays: by its tag, its digest or its repository', async () => {
  const pinned = await pushImage(registry, 'a', { tags: ['manifest'] });
  await pushImage(registry, 'a', { tags: ['tag'] });
  await pushImage(registry, 'a', { tags: ['free'] });
  await pushImage(registry, 'b', { tags: ['x'] });
  for (const target of [`a@${pinned.digest}`, 'a:tag', 'b']) {
    expect((await registry.admin('POST', '/pins', { target, reason: 'audit' })).status).toBe(200);
  }
  const plan = await planned(pruneAll);
  expect(namesOf(plan, 'goes')).toEqual(['a:free']);
  expect(plan.items.filter(({ rule }) => rule === 'pinned').map(nameOf)).toEqual(['a:manifest', 'a:tag', 'b:x']);
});

describe('a rule selects by', () => {
  async function pushWith(tag: string, labels: object | undefined, more: object = {}): Promise<PushedImage> {
    const config = new TextEncoder().encode(JSON.stringify({ config: { Labels: labels }, tag }));
    const digest = await registry.pushBlob('a', config);
    const manifest = JSON.stringify({ ...imageOf(config), ...more });
    expect((await registry.putManifest('a', tag, manifest, ociManifest)).status).toBe(201);
    return { manifest, digest: digestOf(manifest), blobs: [digest] };
  }

  test("labels of the image's config, and of an index those that all children have alike", async () => {
    const one = await pushWith('one', { team: 'red', part: '1' });
    const two = await pushWith('two', { team: 'red', part: '2' });
    await pushWith('three', { team: 'blue' });
    await pushWith('none', undefined);
    await pushIndex(registry, 'a', ['both'], one, two);
    const keptBy = async (labels: Record<string, string>) =>
      namesOf(await planned(keeping({ labels })), 'stays').toSorted();
    expect(await keptBy({ team: 'red' })).toEqual(['a:both', 'a:one', 'a:two']);
    expect(await keptBy({ part: '1' })).toEqual(['a:one']);
    expect(await keptBy({ part: '2' })).toEqual(['a:two']);
  });

  test('no labels, where the config is missing or is no JSON', async () => {
    const { blobs } = await pushWith('gone', { team: 'red' });
    await pushImage(registry, 'a', { tags: ['noise'] });
    await pushWith('there', { team: 'red' });
    const [row] = registry.rows<{ oid: string }>('select oid from object where digest = ?', blobs[0] ?? '');
    await registry.objects.remove(row?.oid ?? '');
    expect(namesOf(await planned(keeping({ labels: { team: 'red' } })), 'stays')).toEqual(['a:there']);
  });

  test('annotations, artifact type and signatures', async () => {
    await pushWith('noted', undefined, { annotations: { keep: 'yes' } });
    await pushWith('chart', undefined, { artifactType: 'application/vnd.example.chart' });
    const signed = await pushWith('signed', undefined);
    const cosigned = await pushWith('cosigned', undefined);
    await registry.pushBlob('a', new Uint8Array([1]));
    const signature = {
      ...imageOf(new Uint8Array([1])),
      artifactType: 'application/vnd.cncf.notary.signature',
      subject: { mediaType: ociManifest, digest: signed.digest, size: signed.manifest.length },
    };
    expect((await registry.putManifest('a', digestOf(JSON.stringify(signature)), signature)).status).toBe(201);
    await pushWith(`${cosigned.digest.replace(':', '-')}.sig`, undefined);
    const keptBy = async (selector: object) => {
      const plan = await planned(keeping(selector));
      return plan.items.filter(({ outcome, rule }) => outcome === 'stays' && rule.includes('rules[0]')).map(nameOf);
    };
    expect(await keptBy({ annotations: { keep: 'yes' } })).toEqual(['a:noted']);
    expect(await keptBy({ artifactType: 'application/vnd.example.*' })).toEqual(['a:chart']);
    expect(await keptBy({ signed: true })).toEqual(['a:cosigned', 'a:signed']);
  });
});

describe('a content that several have', () => {
  const shared = new Uint8Array(1000).fill(7);
  const config = (length: number) => new Uint8Array(length).fill(length);

  test('is freed by the last repository that gives it up', async () => {
    for (const repo of ['a', 'b', 'c']) await pushOf(repo, 'x', config(1), shared);
    const plan = await planned(pruneAll);
    expect(plan.repositories.map(({ freesBytes }) => freesBytes)).toEqual([0, 0, 1001]);
    expect(plan.total).toMatchObject({ repositories: 3, freesBytes: 1001, freesBlobs: 2 });
  });

  test('is not freed while a repository that no policy is for holds it, nor one that was not asked about', async () => {
    for (const repo of ['a', 'b']) await pushOf(repo, 'x', config(1), shared);
    expect((await planned({ ...pruneAll, repositories: 'a' })).total?.freesBytes).toBe(0);
    expect((await askPlan(registry, { policies: [pruneAll], repository: 'b' })).total?.freesBytes).toBe(0);
    await remove(registry, 'b', 'x');
    expect((await planned({ ...pruneAll, repositories: 'a' })).total?.freesBytes).toBe(1001);
  });

  test('is freed once, where the other repository is about to lose it anyway', async () => {
    await pushOf('a', 'x', shared);
    await pushOf('b', 'x', shared);
    await remove(registry, 'b', 'x');
    const plan = await planned(pruneAll);
    expect(namesOf(plan, 'goes')).toEqual(['a:x']);
    expect(plan.repositories.map(({ freesBytes }) => freesBytes)).toEqual([1000, 0]);
  });

  test('is not freed while a tag has it that waits for another day', async () => {
    for (const tag of ['1', '2']) await pushOf('a', tag, shared);
    await pushOf('b', 'x', shared);
    const plan = await planned({ ...pruneAll, rails: { ...noRails, tagsPerDay: '10%' } });
    expect([namesOf(plan, 'goes'), namesOf(plan, 'waits')]).toEqual([['a:1', 'b:x'], ['a:2']]);
    expect(plan.total?.freesBytes).toBe(0);
  });

  test('is not freed while an untagged manifest has it that waits for its first tag', async () => {
    await pushOf('a', 'x', config(1), shared);
    const waiting = await pushOf('a', undefined, shared);
    const plan = await planned({ ...pruneAll, rules: [{ action: 'keep', tagState: 'untagged' }] });
    expect(namesOf(plan, 'stays')).toEqual([`a@${waiting}`]);
    expect(plan.total?.freesBytes).toBe(1);
  });

  test('counts as large as its file is, whatever a manifest says', async () => {
    await registry.pushBlob('a', shared);
    const manifest = imageOf(shared);
    await registry.putManifest('a', 'x', { ...manifest, config: { ...manifest.config, size: 5 } });
    expect((await planned(pruneAll)).total?.freesBytes).toBe(1000);
  });
});

test('the rails let a part go now, the least recently used first, and the rest waits', async () => {
  for (const tag of ['old', 'mid', 'new', 'last']) {
    await pushImage(registry, 'a', { tags: [tag] });
    registry.clock.advance(hour);
  }
  const plan = await planned({ ...pruneAll, rails: { grace: '0', tagsPerDay: '50%', bytesPerDay: '100%' } });
  expect(namesOf(plan, 'goes')).toEqual(['a:old', 'a:mid']);
  expect(namesOf(plan, 'waits')).toEqual(['a:new']);
  expect(plan.items.find(({ tag }) => tag === 'last')).toMatchObject({ outcome: 'stays', rule: 'lastTag' });
  expect(plan.total).toEqual({
    repositories: 1,
    goingTags: 2,
    goingManifests: 0,
    freesBytes: 400,
    freesBlobs: 4,
    waitingTags: 1,
    waitingManifests: 0,
    stayingTags: 1,
    stayingManifests: 0,
  });
});

test("without others, the server's own policies are asked; where it has none, it says so", async () => {
  await pushImage(registry, 'a', { tags: ['x'] });
  expect((await askPlan(registry, {})).refusal).toBe('the configuration has no policies: give some to plan by');
  const parsed = parsePolicySet([pruneAll]);
  registry.policies = parsed.ok ? parsed.set : undefined;
  await registry.stop();
  await registry.resume();
  const plan = await askPlan(registry, {});
  expect(namesOf(plan, 'goes')).toEqual(['a:x']);
  expect(plan.policyHash).toBe((await planned(pruneAll)).policyHash);
  expect(plan.policyHash).not.toBe((await planned({ ...pruneAll, default: 'keep' })).policyHash);
  expect((await askPlan(registry, { repository: 'A' })).refusal).toBe('repository: no repository has "A" in it');
  expect((await askPlan(registry, { policies: [{ repositories: 'a', default: 'keep', rules: [] }] })).refusal).toBe(
    undefined,
  );
});

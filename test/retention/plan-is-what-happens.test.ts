import { afterAll, beforeAll, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { applyThePlan } from '../../src/http/admin/retention-apply.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { until } from '../server/until.ts';
import { ownPair, pairName } from '../pairs/pair.ts';
import { randomRuns } from '../pairs/random-runs.ts';
import { askPlan, nameOf, type PlannedItem } from './asked-plan.ts';
import { anyPolicy, anyPush, RandomRegistry, randomSettings } from './random-registry.ts';

/** One for all runs: each leaves it empty. */
let random: RandomRegistry;
beforeAll(async () => {
  random = await RandomRegistry.start();
});
afterAll(async () => await random[Symbol.asyncDispose]());

/** What somebody does to one of the tags. */
interface Meanwhile {
  readonly what: 'pull' | 'pull by digest' | 'tag anew' | 'push again' | 'move' | 'pin' | 'delete' | 'head';
  readonly tag: number;
  /** To the tag itself, before anything goes; or while things go. */
  readonly when: 'before' | 'at the same time';
}

const anyMeanwhile: fc.Arbitrary<Meanwhile> = fc.record({
  what: fc.constantFrom('pull', 'pull', 'pull by digest', 'tag anew', 'push again', 'move', 'pin', 'delete', 'head'),
  tag: fc.nat({ max: 20 }),
  when: fc.constantFrom('before', 'before', 'at the same time'),
});

function newName(when: Meanwhile['when']): string {
  return `${when === 'before' ? 'earlier' : 'new'}-${newTags++}`;
}

interface Tag {
  readonly repo: string;
  readonly name: string;
  readonly manifest: string;
}

function tagRows(): readonly Tag[] {
  return random.registry.rows<Tag>('select repo, name, manifest from tag order by repo, name');
}

/** Each tag that is made has a name of its own: else it would move one, whose target would go with no policy's word. */
let newTags = 0;

async function happen({ what, tag: number, when }: Meanwhile): Promise<string | undefined> {
  const { registry } = random;
  const tags = tagRows();
  const tag = tags[number % Math.max(tags.length, 1)];
  if (tag === undefined) return undefined;
  const { repo, name, manifest } = tag;
  const path = `/v2/${repo}/manifests/${name}`;
  const full = `${repo}:${name}`;
  switch (what) {
    case 'pull':
      expect([200, 404]).toContain((await registry.send(path)).status);
      return full;
    case 'pull by digest':
      expect([200, 404]).toContain((await registry.send(`/v2/${repo}/manifests/${manifest}`)).status);
      return full;
    case 'head':
      expect([200, 404]).toContain((await registry.send(path, { method: 'HEAD' })).status);
      return undefined;
    case 'pin':
      // A signature that is pinned while its image goes stays, and its bytes.
      if (when === 'at the same time' && name.startsWith('sha256-')) return undefined;
      expect([200, 201, 404]).toContain(
        (await registry.admin('POST', '/pins', { target: full, reason: 'audit' })).status,
      );
      return full;
    case 'delete':
      expect([202, 403, 404, 405, 409]).toContain((await registry.send(path, { method: 'DELETE' })).status);
      return undefined;
    case 'tag anew':
    case 'push again':
    case 'move': {
      const from = what === 'move' ? tags.find((other) => other.repo === repo && other.manifest !== manifest) : tag;
      const source = await registry.send(`/v2/${repo}/manifests/${(from ?? tag).manifest}`);
      if (source.status !== 200) return undefined;
      const body = await source.text();
      const type = source.headers.get('content-type') ?? '';
      const answer = await registry.putManifest(repo, what === 'tag anew' ? newName(when) : name, body, type);
      // Whoever moved it has pinned it, or what it needs is gone.
      return answer.status === 201 && what !== 'tag anew' ? full : undefined;
    }
  }
}

interface Pruned {
  readonly names: readonly string[];
  readonly digests: ReadonlySet<string>;
  readonly bytes: number;
}

/** What has been pruned since an event, by name, and what that was said to free. */
function prunedSince(event: number): Pruned {
  const rows = random.registry.rows<{ repo: string; tag: string | null; digest: string; bytes: number }>(
    "select repo, tag, digest, bytes from event where id > ? and kind in ('tag.pruned', 'manifest.pruned') order by id",
    event,
  );
  const names = rows.map(({ repo, tag, digest }) => (tag === null ? `${repo}@${digest}` : `${repo}:${tag}`));
  const digests = new Set(rows.map(({ digest }) => digest));
  return { names, digests, bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** What goes with each manifest: what it lists, and what is about it, also by a tag as older clients give it. */
function followers(): ReadonlyMap<string, readonly string[]> {
  const { registry } = random;
  const rows = registry.rows<{ held: string; by: string }>(
    `select parent as by, child as held from manifest_child
     union select subject, digest from manifest where subject is not null
     union select 'sha256:' || substr(name, 8, 64), manifest from tag where name like 'sha256-%'`,
  );
  const follows = new Map<string, string[]>();
  for (const { by, held } of rows) follows.set(by, [...(follows.get(by) ?? []), held]);
  return follows;
}

function lastEvent(): number {
  return random.registry.rows<{ id: number | null }>('select max(id) as id from event')[0]?.id ?? 0;
}

/** Everything that a tag leads to can be pulled. */
async function everythingIsWhole(): Promise<void> {
  for (const { repo, name, manifest } of tagRows()) {
    expect((await random.registry.send(`/v2/${repo}/manifests/${name}`)).status).toBe(200);
    for (const { digest } of random.registry.rows<{ digest: string }>(
      'select digest from manifest_blob where repo = ? and manifest = ?',
      repo,
      manifest,
    )) {
      expect((await random.registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(200);
    }
  }
}

/** Those that change no bytes by themselves. */
function isQuiet({ what }: Meanwhile): boolean {
  return what === 'pull' || what === 'pull by digest' || what === 'head' || what === 'pin';
}

async function happenBefore(meanwhile: readonly Meanwhile[]): Promise<ReadonlySet<string>> {
  const used = new Set<string>();
  for (const one of meanwhile) {
    if (one.when !== 'before') continue;
    random.registry.clock.advance(1);
    const name = await happen(one);
    if (name !== undefined) used.add(name);
  }
  return used;
}

function happenAtOnce(
  meanwhile: readonly Meanwhile[],
  mayHappen: (one: Meanwhile) => boolean = isQuiet,
): readonly Promise<unknown>[] {
  random.registry.clock.advance(1);
  return meanwhile
    .filter((one) => one.when === 'at the same time' && mayHappen(one))
    .map(async (one) => await happen(one));
}

async function apply(items: readonly PlannedItem[], mayPruneLastTag: boolean) {
  const answers = [...Map.groupBy(items, ({ repository }) => repository)].map(async ([repository, some]) => {
    const answer = await random.registry.admin('POST', '/retention/apply', {
      repository,
      mayPruneLastTag,
      items: some.map(({ tag, digest, pushedAt, taggedAt, pulledAt, reason }) => ({
        ...(tag !== undefined && { tag }),
        digest,
        pushedAt,
        taggedAt,
        pulledAt,
        reason,
      })),
    });
    expect(answer.status).toBe(200);
    const applied = applyThePlan.answer.parse(await answer.json()).items;
    return some.map((item, at) => ({
      name: nameOf(item),
      outcome: applied[at]?.outcome,
      freed: applied[at]?.freesBytes ?? 0,
    }));
  });
  return (await Promise.all(answers)).flat();
}

/** How often each of what a test is about has to have been seen more than. */
const least = pairName === ownPair ? 5 : 0;

test('applying a plan frees to the byte what it says, and what was used since it was made stays', async () => {
  const seen = { pruned: 0, stays: 0, freed: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPush, { minLength: 3, maxLength: 12 }),
      anyPolicy,
      fc.array(anyMeanwhile, { maxLength: 4 }),
      async (pushes, policy, meanwhile) => {
        await random.push(pushes);
        await random.windowsPass();
        const plan = await askPlan(random.registry, { policies: [policy] });
        const goes = plan.items.filter(({ outcome }) => outcome === 'goes');
        const used = await happenBefore(meanwhile);
        await random.windowsPass();
        const before = await random.bytesOnDisk();
        const event = lastEvent();
        const [applied] = await Promise.all([apply(goes, policy.rails.mayPruneLastTag), ...happenAtOnce(meanwhile)]);
        const pruned = applied.filter(({ outcome }) => outcome === 'pruned');
        for (const { name } of pruned) expect(used).not.toContain(name);
        if (meanwhile.length === 0) {
          expect(applied.map(({ outcome }) => outcome)).toEqual(goes.map(() => 'pruned'));
        }
        const events = prunedSince(event);
        expect(events.names.toSorted()).toEqual(pruned.map(({ name }) => name).toSorted());
        const sum = pruned.reduce((bytes, { freed }) => bytes + freed, 0);
        expect(events.bytes).toBe(sum);
        await everythingIsWhole();
        await random.windowsPass();
        expect(before - (await random.bytesOnDisk())).toBe(sum);
        if (meanwhile.length === 0) expect(sum).toBe(plan.total?.freesBytes ?? -1);
        seen.pruned += pruned.length;
        seen.stays += applied.length - pruned.length;
        seen.freed += sum;
        await random.empty();
      },
    ),
    { numRuns: randomRuns(100, 50), endOnFailure: true },
  );
  // Else it shows nothing.
  for (const name of ['pruned', 'stays', 'freed'] as const)
    expect({ name, is: seen[name] > least }).toEqual({ name, is: true });
}, 600_000);

test('what a plan says is what then happens by itself, to the byte, also while images are pulled', async () => {
  const seen = { pruned: 0, freed: 0, waits: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPush, { minLength: 3, maxLength: 12 }),
      fc.array(anyPolicy, { minLength: 1, maxLength: 2 }),
      fc.array(anyMeanwhile, { maxLength: 4 }),
      async (pushes, policies, meanwhile) => {
        const { registry } = random;
        await random.push(pushes);
        await random.windowsPass();
        await servedWith(policies);
        await happenBefore(meanwhile);
        await random.windowsPass();
        await registry.admin('POST', '/retention/approve', {});
        const plan = await askPlan(registry, { policies });
        const before = await random.bytesOnDisk();
        const event = lastEvent();
        const follows = followers();
        const atOnce = happenAtOnce(meanwhile, (one) => isQuiet(one) || one.what === 'tag anew');
        await Promise.all([registry.pruned(), ...atOnce]);
        const pruned = prunedSince(event);
        if (atOnce.length === 0) {
          const goes = plan.items.filter(({ outcome }) => outcome === 'goes').map(nameOf);
          expect(pruned.names.toSorted()).toEqual(goes.toSorted());
          expect(pruned.bytes).toBe(plan.total?.freesBytes ?? -1);
        }
        await everythingIsWhole();
        await random.windowsPass();
        const freed = before - (await random.bytesOnDisk());
        // Whoever tags what has just gone, or what goes with it, brings it back.
        const gone = new Set(pruned.digests);
        for (const digest of gone) for (const other of follows.get(digest) ?? []) gone.add(other);
        const isBroughtBack = tagRows().some(({ name, manifest }) => name.startsWith('new-') && gone.has(manifest));
        if (isBroughtBack) expect(freed).toBeLessThanOrEqual(pruned.bytes);
        else expect(freed).toBe(pruned.bytes);
        seen.pruned += pruned.names.length;
        seen.freed += pruned.bytes;
        seen.waits += plan.total?.waitingTags ?? 0;
        await random.empty();
      },
    ),
    { numRuns: randomRuns(100, 50), endOnFailure: true },
  );
  for (const name of ['pruned', 'freed', 'waits'] as const)
    expect({ name, is: seen[name] > least }).toEqual({ name, is: true });
}, 600_000);

async function servedWith(policies: readonly PolicyDefinition[]): Promise<void> {
  const { registry } = random;
  const parsed = parsePolicySet(policies);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  await registry.stop();
  registry.policies = parsed.set;
  await registry.resume({ ...randomSettings, 'retention.delay': '1ms' });
  // What it finds in the policies is known; nothing is pruned before it is asked for, as nothing is due.
  await until('the policies have been looked at', async () => {
    const answer = await registry.admin('GET', '/retention');
    return !(await answer.text()).includes('looking');
  });
}

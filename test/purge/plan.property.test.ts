import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { digestOf, freshBytes, imageOf, ociIndex, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { randomRuns } from '../pairs/random-runs.ts';
import { findings, linesOf, planOf, purge } from './purging.ts';

const repos = ['one/app', 'two/app', 'two/lib'] as const;
const blobs = [freshBytes(), freshBytes(), freshBytes(), freshBytes(), freshBytes()] as const;
const longerThanALeaseMs = 7 * 3_600_000;

const nat = fc.nat({ max: 1000 });
const tag = fc.constantFrom('a', 'b', 'c', undefined);

/** What is done to a registry: numbers choose among what there is. */
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('image' as const),
      repo: nat,
      parts: fc.array(nat, { minLength: 1, maxLength: 3 }),
      subject: fc.option(nat, { freq: 3, nil: undefined }),
      isSparse: fc.nat({ max: 5 }).map((one) => one === 0),
      tag,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('index' as const),
      repo: nat,
      children: fc.array(nat, { minLength: 1, maxLength: 3 }),
      subject: fc.option(nat, { freq: 5, nil: undefined }),
      tag,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant('tag about' as const), of: nat, leads: nat, suffix: nat }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('delete' as const), what: nat, isTag: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('pin' as const), what: nat }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Pushed {
  readonly repo: string;
  readonly text: string;
  readonly digest: string;
  readonly type: string;
}

function among<T>(list: readonly T[], choice: number): T | undefined {
  return list[choice % Math.max(list.length, 1)];
}

/** What a registry is made of by some steps. */
async function fill(registry: ServedRegistry, steps: readonly Step[]): Promise<readonly Pushed[]> {
  const pushed: Pushed[] = [];
  let count = 0;
  const put = async (repo: string, content: object, type: string, under: string | undefined): Promise<void> => {
    // No two of them are the same but where another repository gets one of them, too.
    const text = JSON.stringify({ ...content, annotations: { number: String(count++) } });
    const digest = digestOf(text);
    const answer = await registry.putManifest(repo, under ?? digest, text, type);
    if (answer.status === 201) pushed.push({ repo, text, digest, type });
  };
  for (const one of steps) {
    switch (one.does) {
      case 'image': {
        const repo = among(repos, one.repo) ?? repos[0];
        const [config = blobs[0], ...layers] = one.parts.map((part) => among(blobs, part) ?? blobs[0]);
        // What it lacks is absent, where nothing else has brought it.
        const brought = one.isSparse ? [config] : [config, ...layers];
        for (const blob of brought) await registry.pushBlob(repo, blob);
        await put(repo, { ...imageOf(config, ...layers), ...aboutOf(one.subject, repo) }, ociManifest, one.tag);
        break;
      }
      case 'index': {
        const repo = among(repos, one.repo) ?? repos[0];
        // Of another repository, too: it lacks those.
        const children = one.children.flatMap((child) => among(pushed, child) ?? []);
        const manifests = children.map(({ text, digest, type }) => ({ mediaType: type, digest, size: text.length }));
        const content = { schemaVersion: 2, mediaType: ociIndex, manifests };
        await put(repo, { ...content, ...aboutOf(one.subject, repo) }, ociIndex, one.tag);
        break;
      }
      case 'tag about': {
        const of = among(pushed, one.of);
        const leads =
          of &&
          among(
            pushed.filter(({ repo }) => repo === of.repo),
            one.leads,
          );
        if (leads === undefined) break;
        const name = `${of?.digest.replace(':', '-')}${among(['', '.sig', '.att'], one.suffix)}`;
        await registry.putManifest(leads.repo, name, leads.text, leads.type);
        break;
      }
      case 'delete': {
        const what = among(pushed, one.what);
        if (what === undefined) break;
        const reference = one.isTag ? (among(['a', 'b', 'c'], one.what) ?? 'a') : what.digest;
        await registry.send(`/v2/${what.repo}/manifests/${reference}`, { method: 'DELETE' });
        break;
      }
      case 'pin': {
        const what = among(pushed, one.what);
        if (what === undefined) break;
        await registry.admin('POST', '/pins', { target: `${what.repo}@${what.digest}`, reason: 'kept' });
      }
    }
  }
  return pushed;

  function aboutOf(choice: number | undefined, repo: string): object {
    const subject =
      choice === undefined
        ? undefined
        : among(
            pushed.filter((each) => each.repo === repo),
            choice,
          );
    if (subject === undefined) return {};
    return { subject: { mediaType: subject.type, digest: subject.digest, size: subject.text.length } };
  }
}

const descriptor = z.object({ digest: z.string() });
const parsedManifest = z.object({
  config: descriptor.optional(),
  layers: z.array(descriptor).default([]),
  manifests: z.array(descriptor).default([]),
});

/** All that a registry holds, read from its tables without any of its queries. */
function heldBy(registry: ServedRegistry) {
  const rows = <T extends z.ZodType>(shape: T, sql: string) => z.array(shape).parse(registry.rows(sql));
  const led = z.object({ repo: z.string(), name: z.string(), manifest: z.string() });
  return {
    manifests: rows(
      z.object({ repo: z.string(), digest: z.string(), bytes: z.instanceof(Uint8Array) }),
      'select repo, digest, bytes from manifest',
    ).map(({ repo, digest, bytes }) => ({
      repo,
      digest,
      parts: parsedManifest.parse(JSON.parse(Buffer.from(bytes).toString())),
    })),
    tags: rows(led, 'select repo, name, manifest from tag'),
    trashedTags: rows(led, 'select repo, name, manifest from tag_trash'),
    links: rows(z.object({ repo: z.string(), digest: z.string() }), 'select repo, digest from link'),
    objects: rows(
      z.object({ oid: z.string(), digest: z.string() }),
      'select oid, digest from object where digest is not null',
    ),
  };
}

/** Every place that contains some contents, found by reading every manifest that there is. */
function placesOf(held: ReturnType<typeof heldBy>, purged: ReadonlySet<string>): readonly string[] {
  const contains = new Set<string>();
  for (let isNews = true; isNews;) {
    isNews = false;
    for (const { repo, digest, parts } of held.manifests) {
      const key = `${repo}@${digest}`;
      const { config, layers, manifests } = parts;
      const isHit =
        purged.has(digest) ||
        (config !== undefined && purged.has(config.digest)) ||
        [...layers, ...manifests].some((part) => purged.has(part.digest)) ||
        manifests.some((child) => contains.has(`${repo}@${child.digest}`));
      if (!isHit || contains.has(key)) continue;
      contains.add(key);
      isNews = true;
    }
  }
  const leads = ({ repo, manifest }: { repo: string; manifest: string }) => contains.has(`${repo}@${manifest}`);
  return [
    ...[...contains].map((key) => `manifest ${key}`),
    ...held.tags.filter(leads).map(({ repo, name }) => `tag ${repo}:${name}`),
    ...held.trashedTags.filter(leads).map(({ repo, name, manifest }) => `trashed-tag ${repo}:${name} ${manifest}`),
    ...held.links.filter(({ digest }) => purged.has(digest)).map(({ repo, digest }) => `link ${repo} ${digest}`),
    ...held.objects.filter(({ digest }) => purged.has(digest)).map(({ oid, digest }) => `object ${oid} ${digest}`),
  ].sort();
}

type Place = Awaited<ReturnType<typeof planOf>>['places'][number];

const isConsequence = ({ kind }: Place) => kind === 'child' || kind === 'referrer' || kind === 'tag-about';

function textOf({ kind, repository, digest, tag: name, id }: Place): string {
  switch (kind) {
    case 'manifest':
      return `manifest ${String(repository)}@${String(digest)}`;
    case 'tag':
      return `tag ${String(repository)}:${String(name)}`;
    case 'trashed-tag':
      return `trashed-tag ${String(repository)}:${String(name)} ${String(digest)}`;
    case 'link':
      return `link ${String(repository)} ${String(digest)}`;
    default:
      return `${kind} ${String(id)} ${String(digest)}`;
  }
}

/** Manifests and tags by their names. */
function namesOf({ manifests, tags }: ReturnType<typeof heldBy>): ReadonlySet<string> {
  return new Set([
    ...manifests.map(({ repo, digest }) => `${repo}@${digest}`),
    ...tags.map(({ repo, name }) => `${repo}:${name}`),
  ]);
}

function nameOf({ kind, repository, digest, tag: name }: Place): string {
  return kind === 'tag-about' || kind === 'tag'
    ? `${String(repository)}:${String(name)}`
    : `${String(repository)}@${String(digest)}`;
}

test('a plan lists each place that contains the contents, what goes with them and what stays, and so does the record', async () => {
  let consequences = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 25 }),
      fc.array(nat, { minLength: 1, maxLength: 2 }),
      async (steps, choices) => {
        await using registry = await ServedRegistry.start({ 'manifests.sparse': 'allow' });
        const pushed = await fill(registry, steps);
        const all = [...blobs.map((blob) => digestOf(blob)), ...pushed.map(({ digest }) => digest)];
        const digests = [...new Set(choices.flatMap((choice) => among(all, choice) ?? []))];
        await registry.copiesGone();
        const before = heldBy(registry);
        const { places } = await planOf(registry, { digests });
        const hit = places.filter((place) => !isConsequence(place));
        expect(hit.map(textOf).sort()).toEqual([...placesOf(before, new Set(digests))]);

        const { id } = await purge(registry, { digests });
        const recorded = await linesOf(await registry.admin('GET', `/purges/places?id=${id}`));
        expect(sorted(recorded)).toEqual(sorted(places));

        // What goes by itself is gone when leases are over, however deep, and nothing else is.
        for (let lease = 0; lease < 6; lease++) {
          registry.clock.advance(longerThanALeaseMs);
          await registry.collected();
        }
        const after = namesOf(heldBy(registry));
        const lost = [...namesOf(before)].filter((name) => !after.has(name)).sort();
        const going = places.filter((place) => isConsequence(place) && place['heldBy'] === undefined);
        const expected = hit.filter(({ kind }) => kind === 'manifest' || kind === 'tag').concat(going);
        expect(lost).toEqual([...new Set(expected.map(nameOf))].sort());
        consequences += places.filter(isConsequence).length;
        expect((await findings(registry)).filter((finding) => !finding.endsWith('which has not come'))).toEqual([]);
      },
    ),
    { numRuns: randomRuns(25), endOnFailure: true },
  );
  expect(consequences).toBeGreaterThan(0);
}, 600_000);

function sorted(places: readonly unknown[]): readonly string[] {
  const text = (place: unknown) =>
    JSON.stringify(
      Object.entries(z.record(z.string(), z.unknown()).parse(place)).sort(([a], [b]) => a.localeCompare(b)),
    );
  return places.map(text).sort();
}

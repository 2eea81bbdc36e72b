import { digestOf, type Digest } from '../../src/oci/digest.ts';
import { parseTagName, type TagName } from '../../src/oci/names.ts';
import type { Content } from '../../src/retention/facts.ts';
import type { DayOfPulls, Happening, ManifestPast, RepositoryHistory } from '../../src/retention/simulate/history.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';

const day = 86_400_000;

export interface GeneratedHistory {
  readonly repositories: number;
  readonly pushes: number;
  readonly pulls: number;
  readonly days: number;
  /** When it ends. */
  readonly now: number;
}

/**
 * The history of one of the repositories: builds of branches, releases, and tags that move, of images that share layers
 * with those before them and with other repositories; pulled often when they are young, and some for as long as they are
 * there. Every tenth push is an index with two children.
 */
export function generatedHistory(index: number, size: GeneratedHistory): RepositoryHistory {
  const random = new SeededRandom(index + 1);
  const pushes = shareOf(size.pushes, size.repositories, index);
  const pulls = shareOf(size.pulls, size.repositories, index);
  const since = size.now - size.days * day;
  const manifests = new Map<Digest, ManifestPast>();
  const happenings: Happening[] = [];
  const pushed: { readonly at: number; readonly tag: TagName; readonly digest: Digest }[] = [];
  let layers: readonly Content[] = Array.from({ length: 6 }, (_, layer) =>
    contentOf(random, `base ${index % 10}/${layer}`),
  );
  for (let push = 0; push < pushes; push += 1) {
    const at = since + Math.floor(((push + random.next()) / pushes) * size.days * day);
    layers = [...layers.slice(0, 4), ...newLayers(random, index, push)];
    const main = manifestOf(`${index}/${push}`, layers);
    if (push % 10 === 0) {
      const children = [manifestOf(`${index}/${push}/a`, layers), manifestOf(`${index}/${push}/b`, layers.slice(1))];
      for (const child of children) {
        manifests.set(child.digest, child);
        happenings.push({ what: 'pushed', at, tag: undefined, digest: child.digest });
      }
      manifests.set(main.digest, { ...main, blobs: [], children: children.map(({ digest }) => digest) });
    } else manifests.set(main.digest, main);
    const tag = tagFor(random, push);
    happenings.push({ what: 'pushed', at, tag, digest: main.digest });
    pushed.push({ at, tag, digest: main.digest });
    if (push % 10 !== 5) continue;
    const latest = tagName('latest');
    happenings.push({ what: 'pushed', at, tag: latest, digest: main.digest });
    pushed.push({ at, tag: latest, digest: main.digest });
  }
  return {
    repo: `team-${index % 10}/app-${index}`,
    manifests,
    happenings,
    pulls: pullsOf(random, pushed, pulls, size.now),
    isPinned: false,
    pinnedTags: new Set(),
  };
}

/** Days with pulls, of some pulls each, until there are so many; each of what the tag led to then. */
function pullsOf(
  random: SeededRandom,
  pushed: readonly { readonly at: number; readonly tag: TagName; readonly digest: Digest }[],
  count: number,
  now: number,
): readonly DayOfPulls[] {
  const days = new Map<string, { digest: Digest; tag: TagName | undefined; pulls: number; lastAt: number }>();
  const movedAt = new Map<TagName, number[]>();
  for (const { tag, at } of pushed) movedAt.set(tag, [...(movedAt.get(tag) ?? []), at]);
  for (let left = count; left > 0; left -= 1) {
    const one = random.pick(pushed);
    if (one === undefined) break;
    const nextMove = movedAt.get(one.tag)?.find((at) => at > one.at) ?? now;
    // Most pulls are soon after the push.
    const at = Math.floor(one.at + random.next() ** 3 * (Math.min(nextMove, now) - 1 - one.at));
    const tag = random.chance(0.7) ? one.tag : undefined;
    const key = `${one.digest} ${tag ?? ''} ${Math.floor(at / day)}`;
    const known = days.get(key);
    if (known === undefined) days.set(key, { digest: one.digest, tag, pulls: 1, lastAt: at });
    else {
      known.pulls += 1;
      known.lastAt = Math.max(known.lastAt, at);
    }
  }
  return [...days.values()].sort((one, other) => one.lastAt - other.lastAt);
}

function newLayers(random: SeededRandom, index: number, push: number): readonly Content[] {
  return Array.from({ length: 3 }, (_, layer) => contentOf(random, `${index}/${push}/${layer}`));
}

function contentOf(random: SeededRandom, name: string): Content {
  return { digest: digestFor(`layer ${name}`), sizeBytes: random.between(1000, 50_000_000) };
}

function manifestOf(name: string, blobs: readonly Content[]): ManifestPast {
  return {
    digest: digestFor(`manifest ${name}`),
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    artifactType: null,
    labels: {},
    annotations: {},
    subject: null,
    children: [],
    blobs,
    isPinned: false,
  };
}

function tagFor(random: SeededRandom, push: number): TagName {
  if (random.chance(0.1)) return tagName(`v${Math.floor(push / 50)}.${Math.floor(push / 10) % 5}.${push % 10}`);
  if (random.chance(0.1)) return tagName(`branch-${push % 8}`);
  return tagName(`main-${push.toString(16).padStart(7, '0')}`);
}

function tagName(text: string): TagName {
  const name = parseTagName(text);
  if (name === undefined) throw new Error(`${text} is not a tag`);
  return name;
}

function digestFor(text: string): Digest {
  return digestOf('sha256', new TextEncoder().encode(text));
}

function shareOf(whole: number, parts: number, index: number): number {
  return Math.floor((whole * (index + 1)) / parts) - Math.floor((whole * index) / parts);
}

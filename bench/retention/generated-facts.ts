import { digestOf, type Digest } from '../../src/oci/digest.ts';
import type { Content, RepositoryFacts, TagFacts } from '../../src/retention/facts.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { tagName } from './tag-name.ts';

const day = 86_400_000;

/** How many different layers there are to each tag. */
const contentsPerTag = 3;

/** A repository of releases, builds of branches and some tags that move, pushed and pulled over half a year. */
export function generatedFacts(seed: number, tagCount: number, now: number): RepositoryFacts {
  const random = new SeededRandom(seed);
  const contents = Array.from({ length: tagCount * contentsPerTag }, (_, index): Content => {
    return { digest: digestFor(`${seed}/${index}`), sizeBytes: random.between(1000, 50_000_000) };
  });
  const tags = Array.from({ length: tagCount }, (_, index): TagFacts => {
    const pushedAt = now - random.next() * 180 * day;
    const pulledAt = random.chance(0.5) ? pushedAt + random.next() * (now - pushedAt) : null;
    const own = Array.from({ length: 8 }, () => random.pick(contents)).filter((one) => one !== undefined);
    return {
      kind: 'tag',
      name: tagName(random, seed, index),
      digest: digestFor(`manifest ${seed}/${index}`),
      pushedAt,
      taggedAt: pushedAt,
      pulledAt,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      artifactType: null,
      labels: {},
      annotations: {},
      isSigned: false,
      sizeBytes: own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      contents: own,
      isPinned: false,
      follows: null,
    };
  });
  return { tags, untagged: [] };
}

function digestFor(text: string): Digest {
  return digestOf('sha256', new TextEncoder().encode(text));
}

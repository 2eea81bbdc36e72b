import { parseTagName, type TagName } from '../../src/oci/names.ts';
import type { SeededRandom } from '../../src/storm/seeded-random.ts';

/** The name of a repository's tag by its number: a release, a build of a branch, or `latest`. */
export function tagName(random: SeededRandom, repository: number, index: number): TagName {
  const hash = ((index * 99_991 + repository) >>> 0).toString(16).padStart(7, '0').slice(-7);
  const text = random.chance(0.4) ? `v${index % 5}.${random.between(0, 19)}.${index}` : `branch-${index % 40}-${hash}`;
  const name = parseTagName(index === 0 ? 'latest' : text);
  if (name === undefined) throw new Error(`${text} is not a tag`);
  return name;
}

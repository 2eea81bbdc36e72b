import type { Rights } from '../../access/rights.ts';
import type { Sight } from '../../registry/sight.ts';

/** What whoever has some rights may see of other repositories: those that they may pull from. */
export function sightOf(rights: Pick<Rights, 'may' | 'startsOf'>): Sight {
  return { maySee: (repo) => rights.may('pull', repo), starts: rights.startsOf('pull') };
}

import { withoutGrants } from '../access/identity.ts';
import type { Rights } from '../access/rights.ts';
import type { RepositoryName } from '../oci/names.ts';
import { type Purged, wasPurgedFrom } from '../registry/purges/purged.ts';
import type { Call } from './call.ts';
import type { Problem } from './errors.ts';

type Asking = Pick<Call, 'registry' | 'rights' | 'access' | 'identity'>;

/**
 * Whether a client may be told why something was purged: the reason may name what only those know who may pull from where
 * it was.
 */
async function maySeeWhy(call: Asking, repo: RepositoryName, purged: Purged): Promise<boolean> {
  if (rightsOfHolder(call).mayEverywhere('pull')) return true;
  return call.rights.may('pull', repo) && (await wasPurgedFrom(call.registry, repo, purged));
}

/** Who has one of the registry's tokens for one repository knows what they may know. What others vouch for ends with their word. */
function rightsOfHolder({ access, identity, rights }: Asking): Rights {
  if (identity.grants === undefined || identity.issuer !== undefined) return rights;
  return access.rightsOf(withoutGrants(identity));
}

/**
 * What is said in a repository of something that was purged and is kept out: to whoever may see why that too, to others
 * who may push that it is kept out, as they would push it again.
 *
 * @param whole what is said to whoever may see why
 * @returns undefined for all others, to whom it is not there, like what never was
 */
export async function toldOfPurge(
  call: Asking,
  repo: RepositoryName,
  purged: Purged,
  whole: Problem = purgedProblem(purged),
): Promise<Problem | undefined> {
  if (await maySeeWhy(call, repo, purged)) return whole;
  return call.rights.may('push', repo) ? keptOutProblem(purged) : undefined;
}

/** What whoever has pushed something is told that is kept out. */
export async function pushedProblem(call: Asking, repo: RepositoryName, purged: Purged): Promise<Problem> {
  return (await maySeeWhy(call, repo, purged)) ? purgedProblem(purged) : keptOutProblem(purged);
}

function keptOutProblem({ digest, purge }: Purged): Problem {
  const record = purge === undefined ? '' : ` (purge ${purge})`;
  return {
    code: 'DENIED',
    message: `${digest} has been purged from this registry and is kept out${record}: an administrator knows why`,
    detail: { digest, ...(purge !== undefined && { purge }) },
  };
}

/** Something was purged and is kept out. No 404, upon which a client would push it again. */
export function purgedProblem({ digest, purge, at, reason }: Purged): Problem {
  const when = new Date(at).toISOString();
  const record = purge === undefined ? '' : `, purge ${purge}`;
  return {
    code: 'DENIED',
    message: `${digest} has been purged from this registry and is kept out since ${when}: ${reason}${record}`,
    detail: { digest, reason, purgedAt: when, ...(purge !== undefined && { purge }) },
  };
}

/** A manifest that is in quarantine, or would be: it needs something that was purged, or was itself. */
export function quarantineProblem({ digest, purge, at, reason }: Purged, name: string): Problem {
  const when = new Date(at).toISOString();
  const record = purge === undefined ? '' : `, purge ${purge}`;
  return {
    code: 'DENIED',
    message: `${name} cannot be pulled: ${digest} was taken away at ${when} with content that has been purged from this registry: ${reason}${record}`,
    detail: { digest, reason, purgedAt: when, ...(purge !== undefined && { purge }) },
  };
}

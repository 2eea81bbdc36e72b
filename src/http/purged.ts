import type { Purged } from '../registry/purged.ts';
import type { Problem } from './errors.ts';

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

import { actionFor, type OperationalResource, operationalResourceOf } from './operational.ts';
import { type Target, targetOf } from './oci/routes.ts';
import { tokenPath } from './token.ts';

/** Where a request leads: a resource of the specification, or one of our own. */
export type Destination =
  | Target
  | { readonly scope: 'admin'; readonly resource: 'admin' }
  | { readonly scope: 'token'; readonly resource: 'token' }
  | { readonly scope: 'operation'; readonly resource: OperationalResource };

const tokenDestination: Destination = { scope: 'token', resource: 'token' };

/** What tells nothing of what the registry holds. */
export function isProbe({ resource, scope }: Destination): boolean {
  return scope === 'operation' && resource !== 'unknown' && actionFor(resource) === undefined;
}

/** Whether what is asked for is not for everybody. */
export function asksWho(destination: Destination): boolean {
  return destination.scope !== 'operation' || actionFor(destination.resource) !== undefined;
}

/** Where a request leads, and what it is counted under, whatever comes of it. */
export function destinationOf(
  method: string,
  path: string,
  { givesTokens }: { readonly givesTokens: boolean },
): Destination {
  if (givesTokens && path === tokenPath) return tokenDestination;
  if (path.startsWith('/admin/')) return { scope: 'admin', resource: 'admin' };
  const decoded = path.includes('%') ? percentDecoded(path) : path;
  const target = decoded === undefined ? undefined : targetOf(decoded);
  return target ?? { scope: 'operation', resource: operationalResourceOf(method, path) };
}

/** Undefined where the percent signs make no sense. */
function percentDecoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

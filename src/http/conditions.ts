import { type Entities, type Precondition, unconditional } from '../registry/precondition.ts';

/** Content never changes under its digest, so the digest is its entity tag. */
export function entityTagOf(digest: string): string {
  return `"${digest}"`;
}

/** Whether a conditional request's If-None-Match names the entity (RFC 9110, 13.1.2). */
export function matchesEntity(request: Request, etag: string): boolean {
  const header = request.headers.get('if-none-match');
  if (header === null) return false;
  return header.split(',').some((candidate) => {
    const tag = candidate.trim();
    return tag === '*' || tag === etag || tag === `W/${etag}`;
  });
}

/**
 * What the client of a change demands of what is there (RFC 9110, 13.1.1 and 13.1.2). If-Match compares strongly: a weak
 * tag never matches. If-None-Match compares weakly.
 */
export function preconditionOf(request: Request): Precondition {
  const ifMatch = request.headers.get('if-match');
  const ifNoneMatch = request.headers.get('if-none-match');
  if (ifMatch === null && ifNoneMatch === null) return unconditional;
  return {
    is: ifMatch === null ? undefined : entitiesOf(ifMatch, /^"(.*)"$/),
    isNot: ifNoneMatch === null ? undefined : entitiesOf(ifNoneMatch, /^(?:W\/)?"(.*)"$/),
  };
}

function entitiesOf(header: string, tag: RegExp): Entities {
  const candidates = header.split(',').map((candidate) => candidate.trim());
  if (candidates.includes('*')) return 'any';
  return new Set(candidates.map((candidate) => tag.exec(candidate)?.[1] ?? ''));
}

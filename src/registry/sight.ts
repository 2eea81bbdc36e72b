import { afterAllRepositories, type RepositoryName } from '../oci/names.ts';

/** Which repositories somebody may see. */
export interface Sight {
  maySee(repo: RepositoryName): boolean;
  /** What their names begin with, in byte order: nothing else is looked at. */
  readonly starts: readonly string[];
}

/** Names between which are those of all repositories that begin with something, and no others: neither is reached. */
export function namesBeginningWith(start: string): { readonly last: string; readonly before: string } {
  return { last: justBefore(start), before: start + afterAllRepositories };
}

/** No name of a repository lies between this and those that begin with `start`. */
function justBefore(start: string): string {
  if (start === '') return '';
  const code = start.charCodeAt(start.length - 1);
  return start.slice(0, -1) + String.fromCharCode(code - 1) + afterAllRepositories;
}

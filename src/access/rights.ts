import type { RepositoryName } from '../oci/names.ts';
import type { Action } from './action.ts';

/** What somebody may do. Asked several times for each request, so every answer comes at once. */
export interface Rights {
  may(action: Action, repo: RepositoryName): boolean;

  /** Whether it may in all repositories that some globs match, there or not. */
  mayInAll(action: Action, globs: readonly { readonly source: string }[]): boolean;

  /** Whether it may in every repository, there or not: what is not about one repository takes that. */
  mayEverywhere(action: Action): boolean;

  /** Whether there can be a repository in which it may. */
  maySomewhere(action: Action): boolean;

  /**
   * What the names of repositories in which it may begin with, in byte order, none of them being the beginning of
   * another: where to look for them among many.
   */
  startsOf(action: Action): readonly string[];

  /** Whether the only thing in the way is that its token was issued for less (RFC 6750, 3.1: insufficient_scope). */
  needsWiderToken(action: Action, repo: RepositoryName): boolean;
}

/** May do everything: whoever knows the token of the run. */
export const allRights: Rights = {
  may: () => true,
  mayInAll: () => true,
  mayEverywhere: () => true,
  maySomewhere: () => true,
  startsOf: () => [''],
  needsWiderToken: () => false,
};

const openToAll: ReadonlySet<Action> = new Set<Action>(['pull', 'push', 'tag-overwrite', 'delete']);

/** What everybody may where nobody has to say who they are: all but what is for operators. */
export const openRights: Rights = {
  may: (action) => openToAll.has(action),
  mayInAll: (action) => openToAll.has(action),
  mayEverywhere: (action) => openToAll.has(action),
  maySomewhere: (action) => openToAll.has(action),
  startsOf: (action) => (openToAll.has(action) ? [''] : []),
  needsWiderToken: () => false,
};

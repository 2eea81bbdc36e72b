import { parseRepositoryName, type RepositoryName } from '../../oci/names.ts';
import type { Action } from '../../access/action.ts';
import type { Grant } from '../../access/identity.ts';

/** What the token protocol has words for. Who pushes may move tags as far as the policy allows. */
export const tokenActions = ['pull', 'push', 'delete'] as const;

export type TokenAction = (typeof tokenActions)[number];

/** What a client asks a token for (distribution, "Token Scope Documentation"). */
export type Scope =
  | { readonly kind: 'repository'; readonly repo: RepositoryName; readonly actions: ReadonlySet<TokenAction> }
  /** The list of repositories, `registry:catalog:*`. It shows everybody what they may pull, so that everybody has it. */
  | { readonly kind: 'catalog' };

/** What a token says that it may be used for, in the words of the protocol. */
export interface AccessEntry {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** What a token may be used for. */
export interface Granted {
  readonly grants: readonly Grant[];
  readonly seesCatalog: boolean;
}

/** The scope of the list of repositories. */
export const catalogScope = 'registry:catalog:*';

/** No client needs more at once; the bound keeps small what one request can cost. */
export const mostScopes = 100;

/**
 * Reads `repository:NAME:pull,push` and the like, several of them in a text with spaces between. What is not known here,
 * such as a plugin, or cannot be a repository, is nothing that anybody could be granted: it is left out.
 *
 * @returns undefined for more than `mostScopes`
 */
export function parseScopes(texts: readonly string[]): readonly Scope[] | undefined {
  const words = texts.flatMap((text) => text.split(' ')).filter((word) => word !== '');
  if (words.length > mostScopes) return undefined;
  const byRepository = new Map<RepositoryName, ReadonlySet<TokenAction>>();
  let asksForCatalog = false;
  for (const word of words) {
    const { type, name, actions } = partsOf(word);
    if (type === 'registry' && name === 'catalog' && actions.includes('*')) asksForCatalog = true;
    const repo = type === 'repository' ? parseRepositoryName(name) : undefined;
    if (repo === undefined) continue;
    const asked = tokenActions.filter((action) => actions.includes(action) || actions.includes('*'));
    byRepository.set(repo, new Set([...(byRepository.get(repo) ?? []), ...asked]));
  }
  const scopes: Scope[] = [...byRepository].map(([repo, actions]) => ({ kind: 'repository', repo, actions }));
  return asksForCatalog ? [...scopes, { kind: 'catalog' }] : scopes;
}

/** Of what is asked for, what is allowed. The rest is left out: it is no error, as clients ask for more than they need. */
export function allowedOf(
  scopes: readonly Scope[],
  may: (action: Action, repo: RepositoryName) => boolean,
): readonly AccessEntry[] {
  return scopes.flatMap((scope): readonly AccessEntry[] => {
    if (scope.kind === 'catalog') return [{ type: 'registry', name: 'catalog', actions: ['*'] }];
    const actions = [...scope.actions].filter((action) => may(action, scope.repo));
    return actions.length === 0 ? [] : [{ type: 'repository', name: scope.repo, actions }];
  });
}

/** What a token's entries mean here. Those that mean nothing are left out; `*` is all that the protocol has words for. */
export function grantedBy(entries: readonly AccessEntry[]): Granted {
  return {
    grants: entries.flatMap(({ type, name, actions }): readonly Grant[] => {
      const repo = type === 'repository' ? parseRepositoryName(name) : undefined;
      if (repo === undefined) return [];
      return [{ repo, actions: tokenActions.filter((action) => actions.includes(action) || actions.includes('*')) }];
    }),
    seesCatalog: entries.some(
      ({ type, name, actions }) => type === 'registry' && name === 'catalog' && actions.includes('*'),
    ),
  };
}

/** How a challenge names what a request needs: what has to be pushed has to be pulled too. */
export function scopeText(repo: RepositoryName, action: TokenAction): string {
  return `repository:${repo}:${action === 'push' ? 'pull,push' : action}`;
}

/** `TYPE:NAME:ACTIONS`; the name may have colons in it, and a class may stand behind the type, as in `repository(plugin)`. */
function partsOf(word: string): { readonly type: string; readonly name: string; readonly actions: readonly string[] } {
  const first = word.indexOf(':');
  const last = word.lastIndexOf(':');
  if (first === -1 || first === last) return { type: '', name: '', actions: [] };
  return { type: word.slice(0, first), name: word.slice(first + 1, last), actions: word.slice(last + 1).split(',') };
}

import type { Action } from '../../access/action.ts';
import type { ChallengeRequest, Challenger } from '../../access/challenger.ts';
import { catalogScope, scopeText, type TokenAction } from './scope.ts';

/** Where clients get tokens, and for whom. */
export interface TokenSource {
  /** Its URL. @param origin scheme and host as the client sees them */
  realm(origin: () => string): string;
  readonly service: string;
}

const tokenActionFor: Readonly<Record<Action, TokenAction | undefined>> = {
  pull: 'pull',
  push: 'push',
  'tag-overwrite': 'push',
  delete: 'delete',
  restore: undefined,
  purge: undefined,
  admin: undefined,
};

/** Sends clients for a token (distribution, "Token Authentication Specification", section "How to authenticate"). */
export class BearerChallenger implements Challenger {
  readonly #source: TokenSource;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  challenge(request: ChallengeRequest): string {
    const { need, alsoNeeds, error } = request;
    const parameters = {
      realm: this.#source.realm(() => request.origin()),
      service: this.#source.service,
      scope: [scopeOf(need), scopeOf(alsoNeeds)].filter((scope) => scope !== undefined).join(' ') || undefined,
      error,
    };
    const written = Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}="${value}"`],
    );
    return `Bearer ${written.join(',')}`;
  }
}

/** Undefined for what there are no words for. */
function scopeOf(need: ChallengeRequest['need']): string | undefined {
  if (need === 'catalog') return catalogScope;
  const action = need === undefined ? undefined : tokenActionFor[need.action];
  return need?.repo === undefined || action === undefined ? undefined : scopeText(need.repo, action);
}

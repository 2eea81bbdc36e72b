import { type Identity, identityKey } from '../access/identity.ts';
import { all, change } from '../metadata/operation.ts';
import { deleteRefreshTokensOf, refreshTokenHolders } from '../metadata/queries/refresh-tokens.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { type Actor, goneActor } from '../registry/actor.ts';
import type { Clock } from '../registry/clock.ts';
import { recordEvent } from '../registry/events.ts';

interface Parts {
  readonly metadata: Pick<MetadataStore, 'read' | 'write'>;
  readonly clock: Clock;
}

/** Who can have refresh tokens. */
export type LoggedInHolder = Pick<Identity, 'name'> & { readonly kind: 'user' | 'robot' };

/** So many names are read at once. */
const namesAtOnce = 200;

/**
 * Ends all refresh tokens of somebody, whoever has them, so that they have to log in anew. Tokens that were got by them
 * last for their few minutes.
 *
 * @returns how many there were
 */
export async function endLoginsOf(
  { metadata, clock }: Parts,
  { holder, actor, why }: { readonly holder: LoggedInHolder; readonly actor: Actor; readonly why?: string },
): Promise<number> {
  const { kind, name } = holder;
  const now = clock.now();
  const who = identityKey({ ...holder, groups: [], claims: {} });
  return await metadata.write(
    function* end() {
      const ended = yield* change(deleteRefreshTokensOf, { kind, name });
      const reason = `${who}: ${ended} refresh ${ended === 1 ? 'token' : 'tokens'}${why === undefined ? '' : `, as ${why}`}`;
      if (ended > 0) yield* recordEvent({ at: now, kind: 'login.ended', actor, reason });
      return ended;
    },
    { fromReserve: true },
  );
}

/**
 * Ends the refresh tokens of all users who are not there any more, so that none of them is worth something again where one
 * of that name comes back.
 *
 * @param whyGone why a user is not there any more, in words that follow "as"; undefined for one who is
 */
export async function endLoginsOfGone(parts: Parts, whyGone: (name: string) => string | undefined): Promise<void> {
  for (let after = ''; ;) {
    const page = { kind: 'user', after, limit: namesAtOnce } as const;
    const names = (await parts.metadata.read(() => all(refreshTokenHolders, page))).map(({ name }) => name);
    for (const name of names) {
      const why = whyGone(name);
      if (why !== undefined) await endLoginsOf(parts, { holder: { kind: 'user', name }, actor: goneActor, why });
    }
    const last = names.at(-1);
    if (last === undefined || names.length < namesAtOnce) return;
    after = last;
  }
}

/** @param users of the password file; undefined where there is none */
export function goneFrom(
  issuers: { isConfigured(name: string): boolean },
  users: { has(name: string): boolean } | undefined,
): (name: string) => string | undefined {
  return (name) => {
    // No name in a password file has a colon.
    const colon = name.indexOf(':');
    if (colon !== -1) return issuers.isConfigured(name.slice(0, colon)) ? undefined : 'the issuer is not configured';
    return users?.has(name) === true ? undefined : 'the user is not in the password file';
  };
}

import type { Identity } from '../access/identity.ts';
import { all, change, type Operation } from '../metadata/operation.ts';
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
  { holder, actor }: { readonly holder: LoggedInHolder; readonly actor: Actor },
): Promise<number> {
  const now = clock.now();
  return await metadata.write(() => end(holder, { now, actor }), { fromReserve: true });
}

function* end(
  holder: LoggedInHolder,
  { now, actor, why }: { readonly now: number; readonly actor: Actor; readonly why?: string | undefined },
): Operation<number> {
  const { kind, name } = holder;
  const ended = yield* change(deleteRefreshTokensOf, { kind, name });
  const tokens = `${ended} refresh ${ended === 1 ? 'token' : 'tokens'}`;
  const reason = `${kind}:${name}: ${tokens}${why === undefined ? '' : `, as ${why}`}`;
  if (ended > 0) yield* recordEvent({ at: now, kind: 'login.ended', actor, reason });
  return ended;
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
    const gone = names.flatMap((name) => {
      const why = whyGone(name);
      return why === undefined ? [] : [{ name, why }];
    });
    if (gone.length > 0)
      await parts.metadata.write(() => endEach(gone, parts.clock.now()), { fromReserve: true, whileReadOnly: true });
    const last = names.at(-1);
    if (last === undefined || names.length < namesAtOnce) return;
    after = last;
  }
}

function* endEach(gone: readonly { readonly name: string; readonly why: string }[], now: number): Operation<void> {
  for (const { name, why } of gone) yield* end({ kind: 'user', name }, { now, actor: goneActor, why });
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

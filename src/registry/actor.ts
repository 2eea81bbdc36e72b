/** On whose word something happens, as the event log shows it. */
export type Actor = string & { readonly __brand: 'Actor' };

/** What clients send is cut off here, in characters. */
const longestActor = 200;
// What would break a line of a table, or reorder it on a terminal.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** A client that nothing more is known of. */
export const anyClient: Actor = actor('client');

/** What nobody asked for: nothing held it any more. */
export const collectorActor: Actor = actor('collector');

/** What a retention policy says. */
export const pruningActor: Actor = actor('retention');

/** Makes room where a bound of storage is passed. */
export const boundsActor: Actor = actor('storage bounds');

/** Who asks for something, from where, with what. */
export interface Asking {
  /** Such as `client`, `user alice` or `admin`. */
  readonly who: string;
  /** Of the connection, or what a trusted proxy says. */
  readonly address: string | undefined;
  readonly userAgent: string | undefined;
  /** Under which it is in the log; undefined where there is no server. */
  readonly requestId: string | undefined;
}

/** `user alice 10.0.0.1 skopeo/1.2 (request 3f2a91bc-1)`. What is too long is taken from what the client calls itself. */
export function requestActor({ who, address, userAgent, requestId }: Asking): Actor {
  const end = requestId === undefined ? '' : ` (request ${requestId})`;
  const start = [who, address, userAgent].filter((part) => part !== undefined && part !== '').join(' ');
  return actor(`${start.slice(0, longestActor - end.length)}${end}`);
}

function actor(text: string): Actor {
  const cut = text.replaceAll(unprintable, '?').slice(0, longestActor);
  if (!isActor(cut)) throw new Error('an actor has no name');
  return cut;
}

function isActor(text: string): text is Actor {
  return text !== '';
}

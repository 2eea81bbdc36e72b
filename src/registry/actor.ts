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

/** @param address of the connection, or what a trusted proxy says */
export function clientActor(address: string | undefined, userAgent: string | undefined): Actor {
  return actor(['client', address, userAgent].filter((part) => part !== undefined && part !== '').join(' '));
}

/** Whoever asks through the admin API or the command line. */
export function adminActor(address: string | undefined, userAgent: string | undefined): Actor {
  return actor(['admin', address, userAgent].filter((part) => part !== undefined && part !== '').join(' '));
}

function actor(text: string): Actor {
  const cut = text.replaceAll(unprintable, '?').slice(0, longestActor);
  if (!isActor(cut)) throw new Error('an actor has no name');
  return cut;
}

function isActor(text: string): text is Actor {
  return text !== '';
}

/** On whose word something happens, as the event log keeps it. */
export interface Actor {
  /** In words: `user alice 10.0.0.1 skopeo/1.2 (request 3f2a91bc-1)`. */
  readonly text: ActorText;
  /** `KIND:NAME`: `user:alice`, `robot:ci`, `anonymous`, `operator`, or `system:NAME` for what nobody asked for. */
  readonly identity: string;
  readonly address: string | null;
  /** Under which the request is in the log. */
  readonly requestId: string | null;
  readonly userAgent: string | null;
}

type ActorText = string & { readonly __brand: 'ActorText' };

/** What clients send is cut off here, in characters. */
const longestActor = 200;
// What would break a line of a table, or reorder it on a terminal.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** A client that nothing more is known of. */
export const anyClient: Actor = named('client', 'anonymous');

/** What nobody asked for: nothing held it any more. */
export const collectorActor: Actor = named('collector', 'system:collector');

/** What a retention policy says. */
export const pruningActor: Actor = named('retention', 'system:retention');

/** Makes room where a bound of storage is passed. */
export const boundsActor: Actor = named('storage bounds', 'system:storage-bounds');

/** Brings a purge to its end that somebody has begun. */
export const purgeActor: Actor = named('purge', 'system:purge');

/** Whoever has started the server with another configuration. */
export const startActor: Actor = named('start', 'system:start');

/** Ends the logins of users who are not there any more. */
export const goneActor: Actor = named('logins', 'system:logins');

/** Has found what the database did not know. */
export const fsckActor: Actor = named('fsck', 'system:fsck');

/** Ends a pause of all changes that nobody has renewed. */
export const switchActor: Actor = named('read-only switch', 'system:read-only');

/** Several who were denied something, of whom it is not remembered any more who they are. */
export const severalActor: Actor = named('several clients', 'system:denials');

/** Whoever has changed the configuration while the server runs. */
export const configurationActor: Actor = named('configuration file', 'system:configuration');

/** Who asks for something, from where, with what. */
export interface Asking {
  /** Such as `client`, `user alice` or `admin`. */
  readonly who: string;
  /** As in `Actor`; `anonymous` where it is not given. */
  readonly identity?: string;
  /** Of the connection, or what a trusted proxy says. */
  readonly address: string | undefined;
  readonly userAgent: string | undefined;
  /** Under which it is in the log; undefined where there is no server. */
  readonly requestId: string | undefined;
}

/** What is too long is taken from what the client calls itself. */
export function requestActor({ who, identity = 'anonymous', address, userAgent, requestId }: Asking): Actor {
  const end = requestId === undefined ? '' : ` (request ${requestId})`;
  const start = [who, address, userAgent].filter((part) => part !== undefined && part !== '').join(' ');
  return {
    text: actorText(`${start.slice(0, longestActor - end.length)}${end}`),
    identity: printable(identity),
    address: address === undefined ? null : printable(address),
    requestId: requestId ?? null,
    userAgent: userAgent === undefined || userAgent === '' ? null : printable(userAgent),
  };
}

/** Somebody, where it is about more than one of their requests. */
export function inSeveralRequests(actor: Actor): Actor {
  return { ...actor, text: actorText(actor.text.replace(/ \(request [^()]*\)$/, '')), requestId: null };
}

function named(text: string, identity: string): Actor {
  return { text: actorText(text), identity, address: null, requestId: null, userAgent: null };
}

function actorText(text: string): ActorText {
  const cut = printable(text);
  if (!isActorText(cut)) throw new Error('an actor has no name');
  return cut;
}

function printable(text: string): string {
  return text.replaceAll(unprintable, '?').slice(0, longestActor);
}

function isActorText(text: string): text is ActorText {
  return text !== '';
}

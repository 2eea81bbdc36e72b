import type { Identity } from '../../access/identity.ts';
import type { FrontedConnection } from './fronted-connection.ts';

/** Whom a client certificate names that was verified when its connection, or the session that this resumes, was begun. */
export interface Certified {
  readonly identity: Identity;
  /** The end of its time, in ms since 1970: a connection, or a session, may last longer. */
  readonly untilMs: number;
}

/** Who is at the other end of a connection. */
export interface Peer {
  /** Undefined where the client has gone already. */
  readonly address: string | undefined;
  /** Whether what is sent is encrypted on its way here. */
  readonly isEncrypted: boolean;
  /** Undefined where no certificate was shown. */
  readonly certified: Certified | undefined;
  /** Whether it has come to a server behind the fronts by itself: some program on this machine. */
  readonly isStranger: boolean;
  /** Undefined where there is no front between. */
  readonly connection: FrontedConnection | undefined;
}

/** Who has connected to a server without a front. */
export function directPeer(address: string | undefined): Peer {
  return { address, isEncrypted: false, certified: undefined, isStranger: false, connection: undefined };
}

const stranger: Peer = {
  address: '127.0.0.1',
  isEncrypted: false,
  certified: undefined,
  isStranger: true,
  connection: undefined,
};

/** The two ports on loopback between which a front's connection to a server behind it goes. */
export interface InnerPorts {
  readonly server: number;
  readonly front: number;
}

/**
 * For whom each connection is that a front has made to a server behind it, by its ports on loopback. As long as the front
 * has its end open, nobody else can come from there.
 */
export class Peers {
  readonly #byPorts = new Map<number, Peer>();

  /** To be called before the first byte is sent. */
  add(ports: InnerPorts, peer: Peer): void {
    this.#byPorts.set(keyOf(ports), peer);
  }

  /** To be called before the front's end of the connection is closed, as its port may be somebody else's afterwards. */
  forget(ports: InnerPorts): void {
    this.#byPorts.delete(keyOf(ports));
  }

  at(ports: InnerPorts | undefined): Peer {
    return (ports === undefined ? undefined : this.#byPorts.get(keyOf(ports))) ?? stranger;
  }
}

function keyOf({ server, front }: InnerPorts): number {
  return server * 0x1_00_00 + front;
}

import type { Identity } from '../../access/identity.ts';
import type { FrontedConnection } from './fronted-connection.ts';

/** Who is at the other end of a connection. */
export interface Peer {
  /** Undefined where the client has gone already. */
  readonly address: string | undefined;
  /** Whether what is sent is encrypted on its way here. */
  readonly isEncrypted: boolean;
  /** Whom a verified client certificate names; undefined where none was shown. */
  readonly certified: Identity | undefined;
  /** Whether it has come to the server behind the fronts by itself: some program on this machine. */
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

/**
 * For whom each connection is that a front has made to the HTTP server behind it, by the port on loopback from which it
 * comes. As long as the front has its end open, nobody else can come from there.
 */
export class Peers {
  readonly #byPort = new Map<number, Peer>();

  /** To be called before the first byte is sent. */
  add(port: number, peer: Peer): void {
    this.#byPort.set(port, peer);
  }

  /** To be called before the front's end of the connection is closed, as the port may be somebody else's afterwards. */
  forget(port: number): void {
    this.#byPort.delete(port);
  }

  at(port: number | undefined): Peer {
    return (port === undefined ? undefined : this.#byPort.get(port)) ?? stranger;
  }
}

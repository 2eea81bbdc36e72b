import type { Identity } from '../access/identity.ts';
import { clientAddressOf, originOf } from './forwarded.ts';
import { directPeer, type Peer, type Peers } from './front/peers.ts';
import { askedFor, type KeeperTerms } from './keeper.ts';
import { clientKeyOf } from './limits/client-key.ts';
import type { Networks } from './networks.ts';

export interface ClientsParts {
  readonly peers: Peers;
  readonly proxies: Networks;
  readonly sharing: KeeperTerms | undefined;
}

/** Tells from whom requests come, behind fronts, other workers and trusted proxies. */
export class Clients {
  readonly #parts: ClientsParts;

  constructor(parts: ClientsParts) {
    this.#parts = parts;
  }

  /** Who sends a request. */
  peerOf(request: Request, bun: Bun.Server<undefined>, isFronted: boolean): Peer {
    const { peers, sharing } = this.#parts;
    const asked = sharing?.isKeeper === true ? askedFor(sharing, request) : undefined;
    if (asked !== undefined) return asked;
    const ip = bun.requestIP(request);
    if (!isFronted) return directPeer(ip?.address);
    return peers.at(ip === null || bun.port === undefined ? undefined : { server: bun.port, front: ip.port });
  }

  /** The client's address. Nobody vouches for what a stranger says of where it comes from. */
  addressOf(request: Request, peer: Peer | undefined): string | undefined {
    return peer?.isStranger === true ? peer.address : clientAddressOf(request, peer?.address, this.#parts.proxies);
  }

  /** Scheme and host as the client sees them. */
  originOf(request: Request, { address, isEncrypted, isStranger }: Peer): string {
    return originOf(request, !isStranger && this.#parts.proxies.contain(address), isEncrypted);
  }

  /** Under what a client is counted; undefined where it is not. */
  keyOf(request: Request, peer: Peer, identity: Identity): string | undefined {
    const address = this.addressOf(request, peer);
    // A proxy that does not say for whom it asks is not the one to be limited.
    return clientKeyOf(identity, this.#parts.proxies.contain(address) ? undefined : address);
  }
}

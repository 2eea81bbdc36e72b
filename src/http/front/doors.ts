import type { Log } from '../../log/log.ts';
import type { OpenConnections } from '../limits/open-connections.ts';
import type { ServerCertificate } from '../tls/server-certificate.ts';
import { Front, type RefusedCertificate, type TlsTerms } from './front.ts';
import { type InnerPlace, InnerServers } from './inner-servers.ts';
import type { Peers } from './peers.ts';

/** Where clients come in. */
export interface Door {
  readonly hostname: string;
  readonly port: number;
  /** Undefined for plain HTTP. */
  readonly tls: TlsTerms | undefined;
}

/** Where it could not be listened; the cause is the system's error. */
export class DoorError extends Error {
  override readonly name = 'DoorError';
  readonly door: Door;

  constructor(door: Door, cause: unknown) {
    super(`cannot listen on ${door.hostname}, port ${door.port}`, { cause });
    this.door = door;
  }
}

export interface DoorParts {
  readonly connections: OpenConnections;
  readonly peers: Peers;
  readonly log: Log;
  readonly onRefused: (certificate: RefusedCertificate) => void;
  /** Starts a server of the runtime's, which clients reach by themselves or through fronts. */
  readonly serveOn: (hostname: string, port: number, use: ServerUse) => Bun.Server<undefined>;
  /** Where other processes listen in the same places. */
  readonly sharing?: DoorSharing | undefined;
}

/** How a server of the runtime's is used. */
export interface ServerUse {
  /** Clients reach it through fronts. */
  readonly isFronted?: boolean;
  /** Other processes listen on its port too. */
  readonly isShared?: boolean;
}

/** Places in which several processes listen. */
export interface DoorSharing {
  /** The ports of the doors, in their order, where others have chosen them. */
  readonly ports: readonly number[];
  /** Whether this process answers the admin API, for which it needs a place of its own. */
  readonly isKeeper: boolean;
}

/** All the places on which one registry is served. */
export interface Doors {
  /** Where the first door is. */
  readonly url: URL;
  /** The ports of the doors, in their order. */
  readonly ports: readonly number[];
  /** Where the operator's programs on this machine find the admin API, whatever the doors ask of clients. */
  readonly adminOrigin: string;
  /** The runtime's servers: those that are doors themselves, and those behind fronts. */
  readonly servers: readonly Bun.Server<undefined>[];
  exchangeCertificate(certificate: ServerCertificate): void;
  stopListening(): void;
  /** Whether clients come to any of the servers through a front. */
  readonly isFronted: boolean;
  /** Whether any bytes of an answer wait in a front until their client takes them. */
  readonly isBusy: () => boolean;
  /** Cuts the connections that are still open. */
  close(): Promise<void>;
}

/**
 * Opens each door: on a server of the runtime's, or on a front before one where TLS is spoken or connections are counted.
 * @throws DoorError where one cannot be opened; none is open then
 */
export async function openDoors([first, ...others]: readonly [Door, ...Door[]], parts: DoorParts): Promise<Doors> {
  const { connections, peers, log, onRefused, serveOn, sharing } = parts;
  const isShared = sharing !== undefined;
  const isFronted = ({ tls }: Door): boolean => tls !== undefined || connections.areLimited;
  const inner = [first, ...others].some(isFronted)
    ? new InnerServers(() => serveOn('127.0.0.1', 0, { isFronted: true }))
    : undefined;
  const direct: Bun.Server<undefined>[] = [];
  const serversNow = (): readonly Bun.Server<undefined>[] => [...(inner?.servers ?? []), ...direct];
  const fronts: { readonly front: Front; readonly door: Door }[] = [];
  const ports: number[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(serversNow().map((server) => server.stop(true)));
    for (const { front } of fronts) front.close();
  };
  const opened = async (door: Door): Promise<URL> => {
    try {
      const url = await open({ ...door, port: sharing?.ports[ports.length] ?? door.port });
      ports.push(Number(url.port) || (door.tls === undefined ? 80 : 443));
      return url;
    } catch (error) {
      throw new DoorError(door, error);
    }
  };
  const open = async (door: Door): Promise<URL> => {
    if (!isFronted(door) || inner === undefined) {
      const server = serveOn(door.hostname, door.port, { isShared });
      direct.push(server);
      return server.url;
    }
    const takeInnerPlace = (): InnerPlace => inner.take();
    const front = await Front.open({ ...door, isShared, connections, peers, log, onRefused, takeInnerPlace });
    fronts.push({ front, door });
    return urlOf(door, front.port);
  };
  try {
    const url = await opened(first);
    for (const door of others) await opened(door);
    const own = sharing?.isKeeper === true && inner === undefined ? serveOn('127.0.0.1', 0, {}) : undefined;
    if (own !== undefined) direct.push(own);
    return {
      url,
      ports,
      adminOrigin: (inner?.servers[0] ?? own)?.url.origin ?? url.origin,
      get servers() {
        return serversNow();
      },
      exchangeCertificate(certificate) {
        for (const { front, door } of fronts) if (door.tls !== undefined) front.exchangeCertificate(certificate);
      },
      isFronted: inner !== undefined,
      isBusy: () => fronts.some(({ front }) => front.isBusy),
      stopListening() {
        for (const { front } of fronts) front.stopListening();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function urlOf({ hostname, tls }: Door, port: number): URL {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname;
  return new URL(`${tls === undefined ? 'http' : 'https'}://${host}:${port}/`);
}

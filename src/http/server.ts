import { Clients } from './clients.ts';
import { type Door, type DoorSharing, openDoors, type ServerUse } from './front/doors.ts';
import { Peers } from './front/peers.ts';
import type { KeeperTerms } from './keeper.ts';
import { type ConnectionLimits, OpenConnections } from './limits/open-connections.ts';
import { Networks } from './networks.ts';
import { maxIdleSeconds, Requests, type RequestsOptions } from './requests.ts';
import { drainLookMs, pendingRequestsOf, requestsEnded } from './running-requests.ts';
import type { ServerCertificate } from './tls/server-certificate.ts';

export interface HttpOptions extends RequestsOptions {
  /** Where it is served; the first is the one that is announced. */
  readonly doors: readonly [Door, ...Door[]];
  readonly connectionLimits: ConnectionLimits;
  /** Where other processes serve the same registry on the same ports. */
  readonly sharing?: (DoorSharing & KeeperTerms) | undefined;
  readonly trustedProxies: readonly string[];
  readonly idleTimeoutMs: number;
}

export interface HttpServer {
  readonly url: URL;
  /** Of the doors, in their order. */
  readonly ports: readonly number[];
  /** Where the operator's programs on this machine reach the admin API. */
  readonly adminOrigin: string;
  /** Shows another certificate to whoever connects from now on. */
  exchangeCertificate(certificate: ServerCertificate): void;
  /** For how long no request has come or been under way, in ms. */
  quietMs(): number;
  /** Takes no more connections, lets running requests end for `drainMs`, then cuts them off. */
  stop(drainMs: number): Promise<void>;
}

/**
 * Listens, and has every request answered.
 * @throws DoorError where it cannot listen
 */
export async function startHttpServer(options: HttpOptions): Promise<HttpServer> {
  const { access, log, sharing } = options;
  const proxies = new Networks(options.trustedProxies);
  const peers = new Peers();
  const requests = new Requests(options, { clients: new Clients({ peers, proxies, sharing }), proxies });
  const doors = await openDoors(options.doors, {
    connections: new OpenConnections(options.connectionLimits, (address) => proxies.contain(address)),
    peers,
    log,
    onRefused: (certificate) => access.noteRefused({ ...certificate, means: 'certificate', requestId: undefined }),
    serveOn,
    sharing,
  });

  /** A server of the runtime's. */
  function serveOn(
    hostname: string,
    port: number,
    { isFronted = false, isShared = false }: ServerUse,
  ): Bun.Server<undefined> {
    return Bun.serve({
      hostname,
      port,
      development: false,
      // Without this the runtime lets a second process share the port unnoticed.
      reusePort: isShared,
      idleTimeout: Math.min(Math.ceil(options.idleTimeoutMs / 1000), maxIdleSeconds),
      // Blobs have no limit; manifests have their own.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request, bun) => requests.respond(request, bun, isFronted),
      error: (error) => requests.fail(error),
    });
  }

  return {
    url: doors.url,
    ports: doors.ports,
    adminOrigin: doors.adminOrigin,
    exchangeCertificate: (certificate) => doors.exchangeCertificate(certificate),
    quietMs: () => (pendingRequestsOf(doors.servers) > 0 ? 0 : performance.now() - requests.lastAt),
    async stop(drainMs) {
      doors.stopListening();
      const until = performance.now() + drainMs;
      const stopped = Promise.all(doors.servers.map((server) => server.stop()));
      await Promise.race([stopped, requestsEnded(doors.servers, drainMs)]);
      // What the servers have sent may wait here for a slow client; of what is still on its way through loopback, a part
      // comes within a look.
      for (let quietLooks = 0; quietLooks < 2 && doors.isFronted && performance.now() < until;) {
        await Bun.sleep(drainLookMs);
        quietLooks = doors.isBusy() ? 0 : quietLooks + 1;
      }
      await doors.close();
    },
  };
}

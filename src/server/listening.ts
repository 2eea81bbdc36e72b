import { createServer } from 'node:net';
import type { AccessControl } from '../access/access-control.ts';
import type { TokenService } from '../credentials/tokens/token-service.ts';
import type { AccessDenial } from '../audit/access-denials.ts';
import type { PurgeRefusal } from '../audit/purge-refusals.ts';
import type { Config } from '../config/schema.ts';
import { formatListenAddress, type ListenAddress } from '../config/listen-address.ts';
import type { AdminParts } from '../http/admin/endpoint.ts';
import { type Door, DoorError } from '../http/front/doors.ts';
import type { TlsTerms } from '../http/front/front.ts';
import type { HostRules } from '../http/host-check.ts';
import { Redirects } from '../http/redirects.ts';
import type { HttpCalls } from '../http/requests.ts';
import { type HttpServer, startHttpServer } from '../http/server.ts';
import type { ServerCertificate } from '../http/tls/server-certificate.ts';
import type { Log } from '../log/log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Registry } from '../registry/registry.ts';
import { quote } from '../oci/quote.ts';
import { Glob } from '../retention/glob.ts';
import { StartupError } from '../startup-error.ts';
import { codeOf } from '../startup-failures.ts';
import { isKeeper, type WorkerPlace } from '../workers/worker-place.ts';

export interface Served {
  readonly registry: Registry;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly admin: AdminParts;
  readonly access: AccessControl;
  /** Undefined where the registry gives no tokens. */
  readonly tokens: TokenService | undefined;
  readonly onDenied: (denial: AccessDenial) => void;
  readonly onKeptOut: (refusal: PurgeRefusal) => void;
  readonly answer: HttpCalls['answer'] | undefined;
  /** Where requests are looked at for the name of the host that they ask for. */
  readonly checkedHosts: HostRules['checks'];
  /** Undefined where the configuration asks for no TLS. */
  readonly certificate: ServerCertificate | undefined;
  /** Where others serve on the same ports. */
  readonly worker?: WorkerPlace | undefined;
}

/**
 * Serves a registry over HTTP where the configuration says.
 * @throws StartupError where nothing can be served there
 */
export async function listen(
  config: Config,
  { answer, certificate, checkedHosts, worker, ...served }: Served,
): Promise<HttpServer> {
  const { listen: main, http, limits } = config;
  const tls = certificate === undefined ? undefined : { ...config.tls, certificate };
  const beside = http.plainListen === undefined ? [] : [doorAt(http.plainListen, undefined)];
  const doors: [Door, ...Door[]] = [doorAt(main, tls), ...beside];
  const share = (limit: number): number => Math.ceil(limit / (worker?.count ?? 1));
  try {
    // Else the system would let it share them with whoever is there already.
    if (worker?.isFirst === true) for (const door of doors) await expectFree(door);
    return await startHttpServer({
      ...served,
      doors,
      sharing:
        worker === undefined
          ? undefined
          : {
              ports: worker.ports,
              isKeeper: isKeeper(worker),
              secret: worker.secret,
              origin: () => worker.link.keeperOrigin,
            },
      connectionLimits: { inAll: share(limits.connections), perClient: share(limits.connectionsPerClient) },
      clientLimits: {
        uploads: share(limits.uploadsPerClient),
        uploadSessions: limits.uploadSessionsPerClient,
        uploadBytesPerSecond: limits.uploadBytesPerSecondPerClient && share(limits.uploadBytesPerSecondPerClient),
        requestsPerSecond: share(limits.requestsPerSecondPerClient),
        requestBurst: share(limits.requestBurstPerClient),
      },
      settings: {
        maxManifestBytes: config.manifests.maxSizeBytes,
        location: config.http.location,
        redirects: redirectsOf(config),
      },
      hosts: { names: namesOf(config), checks: checkedHosts },
      trustedProxies: config.http.trustedProxies,
      idleTimeoutMs: config.http.idleTimeoutMs,
      logRequests: config.log.requests,
      ...(answer === undefined ? {} : { calls: { answer } }),
    });
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined || !(error instanceof DoorError)) throw error;
    const { hostname: host, port } = error.door;
    const flag = error.door !== doors[0] ? '--http-plain-listen' : '--listen';
    if (code === 'EADDRINUSE') {
      throw new StartupError(`port ${port} of ${host} is in use: choose another one with ${flag} HOST:PORT`, {
        cause: error,
      });
    }
    const reason =
      code === 'EADDRNOTAVAIL' ? 'which is not an address of this machine' : `which the system refuses (${code})`;
    throw new StartupError(
      `cannot listen on ${formatListenAddress({ host, port })}, ${reason}: choose another with ${flag} HOST:PORT`,
      { cause: error },
    );
  }
}

/** @throws StartupError where a glob is none */
function redirectsOf({ s3 }: Config): Redirects {
  const globs = s3.redirectRepositories.map((source) => {
    const parsed = Glob.parse(source);
    if (!parsed.ok) throw new StartupError(`s3.redirectRepositories has ${quote(source)}: ${parsed.problem}`);
    return parsed.glob;
  });
  return new Redirects(globs, s3.redirectNetworks);
}

/** The names that are configured, where clients are sent for a token among them. */
function namesOf({ auth, http: { hosts } }: Config): HostRules['names'] {
  const { realm } = auth.tokens;
  return hosts === 'any' || realm === undefined ? hosts : [...hosts, new URL(realm).hostname];
}

/** @throws DoorError where somebody listens there already */
async function expectFree(door: Door): Promise<void> {
  if (door.port === 0) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.once('error', (error) => reject(new DoorError(door, error)));
  server.listen({ host: door.hostname, port: door.port, exclusive: true }, resolve);
  await promise;
  await new Promise((closed) => server.close(closed));
}

function doorAt({ host, port }: ListenAddress, tls: TlsTerms | undefined): Door {
  return { hostname: host, port, tls };
}

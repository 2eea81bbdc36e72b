import type { AccessControl } from './access/access-control.ts';
import type { TokenService } from './credentials/tokens/token-service.ts';
import type { AccessDenial } from './audit/access-denials.ts';
import type { PurgeRefusal } from './audit/purge-refusals.ts';
import type { Config } from './config/schema.ts';
import { formatListenAddress, type ListenAddress } from './config/listen-address.ts';
import type { AdminParts } from './http/admin/endpoint.ts';
import { type Door, DoorError } from './http/front/doors.ts';
import type { TlsTerms } from './http/front/front.ts';
import type { HostRules } from './http/host-check.ts';
import { Redirects } from './http/redirects.ts';
import { type HttpCalls, type HttpServer, startHttpServer } from './http/server.ts';
import type { ServerCertificate } from './http/tls/server-certificate.ts';
import type { Log } from './log/log.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Registry } from './registry/registry.ts';
import { quote } from './oci/quote.ts';
import { Glob } from './retention/glob.ts';
import { StartupError } from './startup-error.ts';
import { codeOf } from './startup-failures.ts';

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
}

/**
 * Serves a registry over HTTP where the configuration says.
 * @throws StartupError where nothing can be served there
 */
export async function listen(
  config: Config,
  { answer, certificate, checkedHosts, ...served }: Served,
): Promise<HttpServer> {
  const { listen: main, http, limits } = config;
  const tls = certificate === undefined ? undefined : { ...config.tls, certificate };
  const beside = http.plainListen === undefined ? [] : [doorAt(http.plainListen, undefined)];
  try {
    return await startHttpServer({
      ...served,
      doors: [doorAt(main, tls), ...beside],
      connectionLimits: { inAll: limits.connections, perClient: limits.connectionsPerClient },
      clientLimits: {
        uploads: limits.uploadsPerClient,
        uploadSessions: limits.uploadSessionsPerClient,
        uploadBytesPerSecond: limits.uploadBytesPerSecondPerClient,
        requestsPerSecond: limits.requestsPerSecondPerClient,
        requestBurst: limits.requestBurstPerClient,
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
    const flag = beside.includes(error.door) ? '--http-plain-listen' : '--listen';
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

function doorAt({ host, port }: ListenAddress, tls: TlsTerms | undefined): Door {
  return { hostname: host, port, tls };
}

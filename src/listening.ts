import type { AccessControl } from './access/access-control.ts';
import type { TokenService } from './credentials/tokens/token-service.ts';
import type { Config } from './config/schema.ts';
import { formatListenAddress } from './config/listen-address.ts';
import type { AdminParts } from './http/admin/endpoint.ts';
import { type HttpCalls, type HttpServer, startHttpServer } from './http/server.ts';
import type { Log } from './log/log.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Registry } from './registry/registry.ts';
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
  readonly answer: HttpCalls['answer'] | undefined;
}

/**
 * Serves a registry over HTTP where the configuration says.
 * @throws StartupError where nothing can be served there
 */
export function listen(config: Config, { answer, ...served }: Served): HttpServer {
  const { host, port } = config.listen;
  try {
    return startHttpServer({
      ...served,
      hostname: host,
      port,
      settings: { maxManifestBytes: config.manifests.maxSizeBytes, location: config.http.location },
      trustedProxies: config.http.trustedProxies,
      idleTimeoutMs: config.http.idleTimeoutMs,
      logRequests: config.log.requests,
      ...(answer === undefined ? {} : { calls: { answer } }),
    });
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') {
      throw new StartupError(`port ${port} of ${host} is in use: choose another one with --listen HOST:PORT`, {
        cause: error,
      });
    }
    const code = codeOf(error);
    if (code === undefined) throw error;
    const reason =
      code === 'EADDRNOTAVAIL' ? 'which is not an address of this machine' : `which the system refuses (${code})`;
    throw new StartupError(
      `cannot listen on ${formatListenAddress(config.listen)}, ${reason}: choose another with --listen HOST:PORT`,
      { cause: error },
    );
  }
}

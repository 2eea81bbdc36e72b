import type { ListenAddress } from '../config/listen-address.ts';
import type { Config } from '../config/schema.ts';
import { checkListenHost } from '../startup-failures.ts';
import { certificateFilesOf } from './tls-settings.ts';

/** The addresses of a server at which others than this machine can reach it. @throws StartupError where a host has no address */
export async function exposedAddresses({ listen, http }: Config): Promise<readonly ListenAddress[]> {
  const addresses = [listen, ...(http.plainListen === undefined ? [] : [http.plainListen])];
  const checked = await Promise.all(addresses.map(({ host }) => checkListenHost(host)));
  return addresses.filter((_, index) => checked[index]?.isLoopback === false);
}

/**
 * That of them where it speaks no TLS; undefined where it speaks it at all.
 * @throws StartupError where the settings of TLS do not go together
 */
export function plainAddress(config: Config, exposed: readonly ListenAddress[]): ListenAddress | undefined {
  const plain = certificateFilesOf(config) === undefined ? config.listen : config.http.plainListen;
  return exposed.find((address) => address === plain);
}

import type { Config } from '../config/schema.ts';
import type { CertificateFiles } from '../http/tls/server-certificate.ts';
import { StartupError } from '../startup-error.ts';

/**
 * The files of a server that speaks TLS by its configuration; undefined where it does not.
 * @throws StartupError where the settings do not go together
 */
export function certificateFilesOf({ tls, http }: Config): CertificateFiles | undefined {
  const { certificate, key, clientCertificates, clientAuthorities } = tls;
  if (certificate === undefined || key === undefined) {
    if (key !== undefined) throw new StartupError('tls.key is set and tls.certificate is not: set both, or neither');
    if (certificate !== undefined) {
      throw new StartupError('tls.certificate is set and tls.key is not: set both, or neither');
    }
    if (clientCertificates !== 'none') {
      throw new StartupError(
        'tls.clientCertificates needs TLS: set tls.certificate and tls.key too, or leave it at none',
      );
    }
    if (http.plainListen !== undefined) {
      throw new StartupError(
        'http.plainListen stands beside TLS: set tls.certificate and tls.key too, or use listen alone, which is plain',
      );
    }
    return undefined;
  }
  if (clientCertificates === 'none') return { certificate, key, clientAuthorities: undefined };
  if (clientAuthorities === undefined) {
    throw new StartupError(
      `tls.clientCertificates is ${clientCertificates}: name in tls.clientAuthorities the file with the authorities that sign them`,
    );
  }
  return { certificate, key, clientAuthorities };
}

import type { Config } from '../config/schema.ts';
import { CertificateWatch, type CertificateWatchParts } from '../http/tls/certificate-watch.ts';
import {
  type CertificateFiles,
  readServerCertificate,
  type ServerCertificate,
} from '../http/tls/server-certificate.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { certificateFilesOf } from './tls-settings.ts';

/** A certificate, and where it was read. */
export interface OpenedCertificate {
  readonly files: CertificateFiles;
  readonly certificate: ServerCertificate;
}

/** The certificate that a server shows first; undefined where it speaks no TLS. @throws StartupError where it cannot be used */
export async function openCertificate(config: Config): Promise<OpenedCertificate | undefined> {
  const files = certificateFilesOf(config);
  return files === undefined ? undefined : { files, certificate: await readServerCertificate(files) };
}

/** Has a certificate exchanged from now on when its files change, and its end told. */
export function watchCertificate(
  opened: OpenedCertificate | undefined,
  metrics: Metrics,
  { log, exchange }: Pick<CertificateWatchParts, 'log' | 'exchange'>,
): CertificateWatch | undefined {
  if (opened === undefined) return undefined;
  const watch = new CertificateWatch({ ...opened, log, now: () => Date.now(), exchange });
  metrics.watchCertificate(() => watch.secondsLeft());
  watch.start();
  return watch;
}

import { stat } from 'node:fs/promises';
import type { Log } from '../../log/log.ts';
import { type CertificateFiles, readServerCertificate, type ServerCertificate } from './server-certificate.ts';

/** How often the files are looked at, in ms. Renewals come weeks before the end; whoever tests one waits. */
const lookEveryMs = 2000;
/** From when on a certificate that is about to expire is warned of, in ms. */
const warnBeforeMs = 7 * 86_400_000;

export interface CertificateWatchParts {
  readonly files: CertificateFiles;
  /** What was read at the start. */
  readonly certificate: ServerCertificate;
  readonly log: Log;
  /** In ms since 1970. */
  readonly now: () => number;
  /** Puts another certificate in the place of the one that is shown. */
  readonly exchange: (certificate: ServerCertificate) => void;
}

/** Reads the files of a certificate again when they change, and has what was read shown, where it can be. */
export class CertificateWatch {
  readonly #parts: CertificateWatchParts;
  #certificate: ServerCertificate;
  /** The state in which the files were read last; undefined until the first look. */
  #seen: string | undefined;
  /** Why they could not be used then; undefined where they could. */
  #failure: string | undefined;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;

  constructor(parts: CertificateWatchParts) {
    this.#parts = parts;
    this.#certificate = parts.certificate;
  }

  /** For how long the certificate that is shown is still valid; negative once it is not. */
  secondsLeft(): number {
    return (this.#certificate.expiresAt - this.#parts.now()) / 1000;
  }

  start(): void {
    this.#warnOfEnd();
    this.#timer = setInterval(() => void this.look(), lookEveryMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Reads the files if they have changed since they were read last. One look at a time. */
  async look(): Promise<void> {
    this.#looking ??= this.#look(false).finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  /** Reads the files whether they have changed or not. */
  async reload(): Promise<void> {
    await this.#looking;
    this.#looking = this.#look(true).finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  async #look(always: boolean): Promise<void> {
    const state = await this.#stateOfFiles();
    const isChanged = state !== this.#seen;
    this.#seen = state;
    // What could not be read is tried again: files may have been too many for a moment.
    if (!isChanged && this.#failure === undefined && !always) return;
    const { files, log, exchange } = this.#parts;
    let read: ServerCertificate;
    try {
      read = await readServerCertificate(files);
      if (!isSame(read, this.#certificate)) exchange(read);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== this.#failure) {
        log.warn({ reason }, 'the certificate of before is kept, as the new files cannot be used');
      }
      this.#failure = reason;
      return;
    }
    this.#failure = undefined;
    if (isSame(read, this.#certificate)) return;
    this.#certificate = read;
    const { subject, fingerprint, expiresAt } = read;
    log.info(
      { subject, fingerprint, expires: new Date(expiresAt).toISOString() },
      'new connections are shown a new certificate',
    );
    this.#warnOfEnd();
  }

  /** Changes with every change of a file, through symbolic links too, as those of Kubernetes's secrets. */
  async #stateOfFiles(): Promise<string> {
    const { certificate, key, clientAuthorities } = this.#parts.files;
    const states = [certificate, key, clientAuthorities].map(async (path) => {
      if (path === undefined) return '';
      try {
        const { ino, size, mtimeMs, ctimeMs } = await stat(path);
        return [ino, size, mtimeMs, ctimeMs].join(' ');
      } catch {
        return 'absent';
      }
    });
    return (await Promise.all(states)).join();
  }

  #warnOfEnd(): void {
    const { log, now } = this.#parts;
    const { subject, validFrom, expiresAt } = this.#certificate;
    const expires = new Date(expiresAt).toISOString();
    if (expiresAt <= now()) log.warn({ subject, expires }, 'the certificate has expired: clients will refuse it');
    else if (expiresAt - now() < warnBeforeMs) log.warn({ subject, expires }, 'the certificate expires soon: renew it');
    if (validFrom > now()) {
      log.warn(
        { subject, from: new Date(validFrom).toISOString() },
        'the certificate is not valid yet: look at the clock',
      );
    }
  }
}

function isSame(one: ServerCertificate, other: ServerCertificate): boolean {
  return (
    one.certificatePem === other.certificatePem &&
    one.keyPem === other.keyPem &&
    one.clientAuthoritiesPem === other.clientAuthoritiesPem
  );
}

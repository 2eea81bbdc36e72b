import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { codeOf } from '../../startup-failures.ts';
import { StartupError } from '../../startup-error.ts';

/** The PEM files of a server that speaks TLS. */
export interface CertificateFiles {
  /** The server's own certificate, then those between it and the root. */
  readonly certificate: string;
  readonly key: string;
  /** Whose signatures on clients' certificates count; undefined where clients are not asked for one. */
  readonly clientAuthorities: string | undefined;
}

/** What a server shows and whose clients' certificates it accepts: read, and found to belong together. */
export interface ServerCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly clientAuthoritiesPem: string | undefined;
  /** In ms since 1970. */
  readonly validFrom: number;
  readonly expiresAt: number;
  /** For the log: `CN=registry.example`, or its alternative names where it has no subject. */
  readonly subject: string;
  /** SHA-256, as `openssl x509 -fingerprint -sha256` shows it. */
  readonly fingerprint: string;
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * Reads the files and checks all that can be checked before a client comes.
 * @throws StartupError where something in them has to be mended first
 */
export async function readServerCertificate(files: CertificateFiles): Promise<ServerCertificate> {
  const certificatePem = await textOf(files.certificate, 'tls.certificate');
  const keyPem = await textOf(files.key, 'tls.key');
  const [own, ...others] = certificatesIn(certificatePem, files.certificate, 'tls.certificate');
  const key = keyIn(keyPem, files.key);
  if (!own.checkPrivateKey(key)) {
    throw new StartupError(
      others.some((other) => other.checkPrivateKey(key))
        ? `the key in ${files.key} belongs to another certificate in ${files.certificate} than the first: put the server's own certificate first`
        : `the key in ${files.key} (tls.key) does not belong to the certificate in ${files.certificate} (tls.certificate): give the two that were made together`,
    );
  }
  let clientAuthoritiesPem: string | undefined;
  if (files.clientAuthorities !== undefined) {
    clientAuthoritiesPem = await textOf(files.clientAuthorities, 'tls.clientAuthorities');
    certificatesIn(clientAuthoritiesPem, files.clientAuthorities, 'tls.clientAuthorities');
  }
  try {
    createSecureContext({ cert: certificatePem, key: keyPem, ca: clientAuthoritiesPem });
  } catch (error) {
    throw new StartupError(
      `the certificate in ${files.certificate} and the key in ${files.key} cannot be used (${messageOf(error)}): give others`,
      { cause: error },
    );
  }
  return {
    certificatePem,
    keyPem,
    clientAuthoritiesPem,
    validFrom: own.validFromDate.getTime(),
    expiresAt: own.validToDate.getTime(),
    subject: (own.subject || (own.subjectAltName ?? '')).replaceAll('\n', ', '),
    fingerprint: own.fingerprint256,
  };
}

async function textOf(path: string, setting: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    const advice =
      code === 'ENOENT'
        ? 'there is no such file, name the right one'
        : code === 'EISDIR'
          ? 'it is a directory, name the file in it'
          : code === 'EMFILE' || code === 'ENFILE'
            ? 'too many files are open'
            : `give this user the right to read it (${code})`;
    throw new StartupError(`cannot read ${path} (${setting}): ${advice}`, { cause: error });
  }
}

function certificatesIn(text: string, path: string, setting: string): [X509Certificate, ...X509Certificate[]] {
  const [first, ...others] = text.match(pemCertificate) ?? [];
  if (first === undefined) {
    throw new StartupError(
      `there is no certificate in ${path} (${setting}): it has to be a PEM file with -----BEGIN CERTIFICATE-----`,
    );
  }
  const parsed = (pem: string): X509Certificate => {
    try {
      return new X509Certificate(pem);
    } catch (error) {
      throw new StartupError(
        `a certificate in ${path} (${setting}) cannot be read (${messageOf(error)}): write it anew`,
        {
          cause: error,
        },
      );
    }
  };
  return [parsed(first), ...others.map(parsed)];
}

function keyIn(text: string, path: string): ReturnType<typeof createPrivateKey> {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw new StartupError(
      `the key in ${path} (tls.key) has a passphrase: take it off with openssl pkey -in ${path} -out KEY, and let only this user read the result`,
    );
  }
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw new StartupError(
      `there is no private key in ${path} (tls.key) that can be read (${messageOf(error)}): it has to be a PEM file with -----BEGIN PRIVATE KEY-----`,
      { cause: error },
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { DatabaseError } from 'pg';
import { MetadataBusyError } from '../store.ts';

/** The oldest version of PostgreSQL that is known to work, as it numbers itself. */
export const oldestVersion = 150_000;

/** A database that cannot be used, whoever waits for it. */
export class DatabaseUnusableError extends Error {
  override readonly name = 'DatabaseUnusableError';
}

/** What of an address may be shown: all but the password. */
export function shownAddress(address: string): string {
  const url = new URL(address);
  const user = url.username === '' ? '' : `${url.username}@`;
  return `${url.protocol}//${user}${url.host}${url.pathname}`;
}

/** Codes of OpenSSL for certificates that are not believed, and what pg says of servers that have no TLS. */
function isAboutTls(error: Error): boolean {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code.startsWith('ERR_TLS') || code.includes('CERT') || /\bSSL\b/.test(error.message);
}

/** Why a database could not be opened, and what to do; undefined where it is not known. */
export function openFailureText(error: unknown, address: string): string | undefined {
  const where = `the database ${shownAddress(address)}`;
  if (error instanceof DatabaseUnusableError) return error.message;
  if (error instanceof MetadataBusyError) {
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    return `cannot use ${where} (${reason}): see that it runs and can be reached from here, and that metadata names it`;
  }
  if (error instanceof Error && isAboutTls(error)) {
    return `cannot use ${where} over TLS (${error.message}): see that it has TLS switched on, that sslrootcert in metadata names who signed its certificate, and that the host is the certificate's; without sslmode it is asked for none`;
  }
  if (!(error instanceof DatabaseError)) return undefined;
  const { code = '', message } = error;
  if (code.startsWith('28'))
    return `${where} lets this user not in (${message}): mend the user or the password in metadata`;
  if (code === '3D000')
    return `there is no ${where.slice('the '.length)}: make it (create database), or name another in metadata`;
  if (code === '42501') {
    return `this user may not make tables in ${where} (${message}): make it the owner of the database, or grant it that`;
  }
  return undefined;
}

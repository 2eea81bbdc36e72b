import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { StartupError } from './startup-error.ts';

/** What could not be opened, and what helps where its bytes make no sense. */
export interface Opened {
  /** Such as `the database /data/wherry.db`. */
  readonly name: string;
  readonly ifDamaged: string;
}

/** An error from opening something, in words that the operator can act on; the error itself where it is a bug. */
export function startupFailure(error: unknown, { name, ifDamaged }: Opened): unknown {
  const code = codeOf(error);
  if (code === undefined || !(error instanceof Error)) return error;
  const reason = error.message.includes(code) ? error.message : `${code}: ${error.message}`;
  return new StartupError(`cannot open ${name} (${reason}): ${adviceOn(code, ifDamaged)}`, { cause: error });
}

/** What SQLite says where it finds no room for a page of the log, or for the log's index. */
const fullDiskCodes = new Set(['SQLITE_IOERR_WRITE', 'SQLITE_IOERR_SHMSIZE']);

function adviceOn(code: string, ifDamaged: string): string {
  if (fullDiskCodes.has(code)) return adviceOn('ENOSPC', ifDamaged);
  // SQLite's codes have a second part that says more exactly what was being done.
  switch (/^SQLITE_[A-Z]+/.exec(code)?.[0] ?? code) {
    case 'SQLITE_NOTADB':
    case 'SQLITE_CORRUPT':
      return ifDamaged;
    case 'EEXIST':
    case 'ENOTDIR':
    case 'EISDIR':
      return 'what is at this path is not what wherry keeps there, move it away or choose another directory with --data';
    case 'SQLITE_FULL':
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return 'its disk is full, or its quota used up: make room there';
    case 'SQLITE_BUSY':
      return 'another program has locked it, end that program';
    case 'EMFILE':
    case 'ENFILE':
      return 'too many files are open, raise the limit (ulimit -n)';
    case 'SQLITE_CANTOPEN':
      return 'see that this user may write there and that its disk is not full, or choose another directory with --data';
    default:
      return 'give this user the right to read and write there, or choose another directory with --data';
  }
}

/**
 * Looks a host up before the server listens there, as the runtime's error for a name that leads nowhere is that of
 * whatever failed before.
 *
 * @returns whether none but this machine can reach it there
 * @throws StartupError where it has no address
 */
export async function checkListenHost(host: string): Promise<{ readonly isLoopback: boolean }> {
  if (isIP(host) !== 0) return { isLoopback: isLoopback(host) };
  try {
    const found = await lookup(host, { all: true });
    return { isLoopback: found.every(({ address }) => isLoopback(address)) };
  } catch (error) {
    throw new StartupError(
      `cannot listen on ${host}, which is not an address of this machine (${codeOf(error) ?? 'unknown error'}): choose another with --listen HOST:PORT`,
      { cause: error },
    );
  }
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function isLoopback(address: string): boolean {
  return loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** The system's or the database's code for an error, or for the one that it was made of. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.cause);
}

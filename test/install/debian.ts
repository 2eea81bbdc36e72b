import { outputOf } from './command.ts';

/**
 * Makes sure that Debian packages are there, and installs those that are missing with apt-get, as root or through sudo
 * without a password. A package whose name is a program on PATH counts as there, wherever it came from.
 *
 * @throws if a package is missing and cannot be installed, with what the reader may do about it
 */
export async function debianPackages(names: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of names) if (!(await isThere(name))) missing.push(name);
  if (missing.length === 0) return;

  const asRoot = await wayToRoot();
  if (Bun.which('apt-get') === null || asRoot === undefined) {
    throw new Error(`Missing: ${missing.join(', ')}. Please install them (apt-get install ${missing.join(' ')}).`);
  }
  console.error(`Installing from Debian: ${missing.join(', ')}`);
  // env, because sudo does not hand the environment on.
  const aptGet: [string, ...string[]] = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-o', lockTimeout];
  await outputOf(wrap(asRoot, [...aptGet, 'update']));
  await outputOf(wrap(asRoot, [...aptGet, 'install', '--yes', '--no-install-recommends', ...missing]));
}

/** Another apt-get may be at work when a machine has just been started. */
const lockTimeout = 'DPkg::Lock::Timeout=300';

async function isThere(name: string): Promise<boolean> {
  if (Bun.which(name) !== null) return true;
  if (Bun.which('dpkg-query') === null) return false;
  const status = await outputOf(['dpkg-query', '--show', '--showformat=${db:Status-Abbrev}', name]).catch(() => '');
  return status.startsWith('ii');
}

/** What to put before a command so that it runs as root; undefined if that cannot be done without asking somebody. */
async function wayToRoot(): Promise<readonly string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  const sudo = ['sudo', '--non-interactive'];
  const allowed = await outputOf(['sudo', '--non-interactive', 'true']).then(
    () => true,
    () => false,
  );
  return allowed ? sudo : undefined;
}

function wrap(prefix: readonly string[], command: [string, ...string[]]): [string, ...string[]] {
  const [first, ...rest] = prefix;
  return first === undefined ? command : [first, ...rest, ...command];
}

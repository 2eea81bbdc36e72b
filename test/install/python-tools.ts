import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { outputOf } from './command.ts';
import { debianPackages } from './debian.ts';

const cacheDirectory = path.join(import.meta.dir, '..', '..', '.cache', 'python');

/**
 * How a program of a Python package is run: the packages that a file of requirements pins are installed into
 * `.cache/python` by the first call.
 *
 * @throws if there is no Python with venv and it cannot be installed, or a package cannot be fetched
 */
export async function pythonTool(name: string, requirementsFile: string): Promise<readonly [string, string]> {
  const requirements = await readFile(requirementsFile, 'utf8');
  // What is pinned is part of the path, so that new pins are never answered with old programs.
  const pinned = new Bun.CryptoHasher('sha256').update(requirements).digest('hex').slice(0, 16);
  const directory = path.join(cacheDirectory, `${name}@${pinned}`);
  // With its interpreter: the first line of the program names the directory in which it was installed.
  const command = [path.join(directory, 'bin', 'python'), path.join(directory, 'bin', name)] as const;
  if (existsSync(command[1])) return command;

  await mkdir(cacheDirectory, { recursive: true });
  const installing = await mkdtemp(path.join(cacheDirectory, '.installing-'));
  try {
    console.error(`Installing ${name}`);
    await makeEnvironment(installing);
    const python = path.join(installing, 'bin', 'python');
    const options = ['--quiet', '--no-input', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
    await outputOf([python, '-m', 'pip', 'install', ...options, '--requirement', requirementsFile]);
    await rename(installing, directory);
  } catch (error) {
    await rm(installing, { recursive: true, force: true });
    // Somebody else may have installed it meanwhile.
    if (!existsSync(command[1])) throw error;
  }
  return command;
}

/** Debian's Python comes without venv. */
async function makeEnvironment(directory: string): Promise<void> {
  const make = async (python: string) => await outputOf([python, '-m', 'venv', '--clear', directory]);
  try {
    await make('python3');
  } catch {
    await debianPackages(['python3', 'python3-venv']);
    await make(existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3');
  }
}

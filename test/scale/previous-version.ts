import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outputOf } from '../install/command.ts';

const project = join(import.meta.dir, '..', '..');
const migrationsIn = 'src/metadata/migrations';

/** The sources of an earlier version of Wherry, in a directory that goes with it. */
export interface Version extends Disposable {
  /** The program and arguments of its command line. */
  readonly command: readonly [string, ...string[]];
  /** The number of its newest migration. */
  readonly schema: number;
}

/** How many migrations before the newest one: as many as a release has brought, where that is what is tried. */
const back = Number(process.env['ROLLING_BACK'] ?? 1);

/**
 * The version before the newest migration, out of the project's history; before so many with `ROLLING_BACK`. A shallow clone
 * fetches its history.
 * @throws where the history is not there
 */
export async function previousVersion(): Promise<Version> {
  await completeHistory();
  const newest = (await migrationsOf(project)).at(-back);
  if (newest === undefined) throw new Error('there is no migration');
  const added = ['log', '-1', '--format=%H', '--diff-filter=A', '--', `${migrationsIn}/${newest}`];
  const commit = (await git(...added)).trim();
  if (commit === '')
    throw new Error(`the history does not tell when ${newest} was added: it takes a clone with all of it`);
  const directory = mkdtempSync(join(tmpdir(), 'wherry-previous-'));
  try {
    const archive = join(directory, 'sources.tar');
    await git('archive', `--output=${archive}`, `${commit}^`);
    await outputOf(['tar', '-x', '-f', archive, '-C', directory]);
    await addPackages(directory);
    const schema = Number.parseInt((await migrationsOf(directory)).at(-1) ?? '0', 10);
    return {
      command: [process.execPath, join(directory, 'src', 'main.ts')],
      schema,
      [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
    };
  } catch (error) {
    rmSync(directory, { recursive: true });
    throw error;
  }
}

async function completeHistory(): Promise<void> {
  try {
    const isShallow = (await git('rev-parse', '--is-shallow-repository')).trim() === 'true';
    if (isShallow) await git('fetch', '--quiet', '--unshallow');
  } catch (error) {
    throw new Error('the version before this one is taken out of the history: it takes a clone with all of it', {
      cause: error,
    });
  }
}

/** Those of this version where they are the same; its own where they are not. */
async function addPackages(directory: string): Promise<void> {
  const [own, its] = await Promise.all([project, directory].map((root) => readFile(join(root, 'package-lock.json'))));
  if (own !== undefined && its !== undefined && own.equals(its)) {
    symlinkSync(join(project, 'node_modules'), join(directory, 'node_modules'));
    return;
  }
  await outputOf(['node', join(directory, 'scripts', 'bun.mjs'), '--version']);
  if (!existsSync(join(directory, 'node_modules'))) throw new Error('the packages of the previous version are missing');
}

async function migrationsOf(root: string): Promise<readonly string[]> {
  const names = await readdir(join(root, migrationsIn));
  return names.filter((name) => /^\d{4}-.*(?<!\.test)\.ts$/.test(name)).toSorted();
}

async function git(...parameters: readonly string[]): Promise<string> {
  return await outputOf(['git', '-C', project, ...parameters]);
}

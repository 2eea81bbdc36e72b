// Makes a fresh clone ready to run: the packages of package-lock.json, and a Bun that runs. Plain Node, because before
// it has run there is nothing else.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { endLike, runToEnd } from './child-process.mjs';
import { withLock } from './lock-file.mjs';

/** The root of the checkout. */
export const projectDirectory = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const lockFile = path.join(projectDirectory, 'package-lock.json');
const nodeModules = path.join(projectDirectory, 'node_modules');
/** npm's own record of what it has put into node_modules; it rewrites it whenever it changes anything there. */
const installedRecord = path.join(nodeModules, '.package-lock.json');
/** Our record of what the last set-up found in order; in node_modules, so that it goes when they go. */
const stampFile = path.join(nodeModules, '.wherry-set-up.json');
const setUpLock = path.join(projectDirectory, '.cache', 'set-up.lock');

/**
 * Installs what is missing. When everything is in place, which takes a few milliseconds to see, it does nothing; and
 * two that run side by side wait for each other.
 *
 * @returns {Promise<string>} the path of Bun
 * @throws if the packages cannot be installed, or there is no Bun for this machine
 */
export async function ensureSetUp() {
  const bun = bunPath();
  if (bun !== undefined) return bun;
  mkdirSync(path.dirname(setUpLock), { recursive: true });
  return await withLock(setUpLock, async () => {
    const madeMeanwhile = bunPath();
    if (madeMeanwhile !== undefined) return madeMeanwhile;
    if (!installedMatchesLockFile()) await install();
    const runningBun = await findRunningBun();
    writeStamp(runningBun);
    return runningBun;
  });
}

/**
 * For what ensureSetUp throws: says what is wrong, without the stack trace of a script that nobody is debugging, and
 * ends the process.
 */
export function giveUp(error) {
  console.error(`wherry: ${error.message}`);
  process.exit(1);
}

/** The path of Bun, if the set-up has been done for this lock file and nothing was installed or removed since. */
export function bunPath() {
  const stamp = readJson(stampFile);
  return stamp !== undefined && JSON.stringify(stamp.made) === JSON.stringify(currentState()) && existsSync(stamp.bun)
    ? stamp.bun
    : undefined;
}

function writeStamp(bun) {
  try {
    writeFileSync(stampFile, JSON.stringify({ made: currentState(), bun }));
  } catch {
    // A read-only installation is looked over at every start instead.
  }
}

/** What a stamp is good for: this lock file, this content of node_modules, in this place, on this kind of machine. */
function currentState() {
  return {
    lock: createHash('sha256').update(readFileSync(lockFile)).digest('hex'),
    installedMs: statSync(installedRecord, { throwIfNoEntry: false })?.mtimeMs,
    directory: projectDirectory,
    machine: `${process.platform}-${process.arch}`,
  };
}

/** Whether npm's record holds each package of the lock file, the very same one; those for other platforms are left out. */
function installedMatchesLockFile() {
  const installed = readJson(installedRecord)?.packages;
  if (installed === undefined) return false;
  return Object.entries(readJson(lockFile).packages).every(([name, wanted]) => {
    if (name === '') return true;
    const found = installed[name];
    if (found === undefined) return wanted.optional === true;
    return found.version === wanted.version && (found.integrity ?? '') === (wanted.integrity ?? found.integrity ?? '');
  });
}

/**
 * Not `npm ci`: some versions of npm refuse a lock file that lacks the optional packages of other platforms, which is
 * what npm itself writes where the registry does not offer them. What came is compared with the lock file afterwards.
 */
async function install() {
  console.error('Installing the packages that Wherry needs (only this once)');
  const printed = [];
  const end = await runToEnd(
    [...npmCommand(), 'install', '--no-save', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: projectDirectory, onOutput: (chunk) => printed.push(chunk) },
  );
  if (end.code !== 0) {
    process.stderr.write(Buffer.concat(printed));
    if (end.signal !== null) endLike(end);
    throw new Error('npm could not install the packages; what it says stands above');
  }
  if (!installedMatchesLockFile()) throw new Error('npm installed other packages than package-lock.json names');
}

/** The npm that started this script, if one did: it need not be the one on PATH. */
function npmCommand() {
  const npmScript = process.env['npm_execpath'];
  return npmScript !== undefined && path.basename(npmScript) === 'npm-cli.js' ? [process.execPath, npmScript] : ['npm'];
}

/**
 * The package `bun` holds a placeholder, which its install script replaces by the program of the package for the
 * platform. An npm that runs no install scripts leaves the placeholder.
 */
async function findRunningBun() {
  const bunPackage = path.join(nodeModules, 'bun');
  const wanted = readJson(path.join(bunPackage, 'package.json'))?.version;
  const installed = path.join(bunPackage, 'bin', 'bun.exe');
  if (versionOf(installed) === wanted) return installed;

  const printed = [];
  await runToEnd([process.execPath, 'install.js'], { cwd: bunPackage, onOutput: (chunk) => printed.push(chunk) });
  if (versionOf(installed) === wanted) return installed;

  const platformPackages = path.join(nodeModules, '@oven');
  for (const name of existsSync(platformPackages) ? readdirSync(platformPackages) : []) {
    const program = path.join(platformPackages, name, 'bin', 'bun');
    if (versionOf(program) === wanted) return program;
  }
  process.stderr.write(Buffer.concat(printed));
  throw new Error(`No Bun ${wanted} that runs on this machine (${process.platform}, ${process.arch})`);
}

function versionOf(program) {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

import { readdirSync } from 'node:fs';
import { installClients } from './client-programs.ts';
import { imageFixtures } from './fixtures.ts';

/**
 * `npm run e2e [-- NAME …]`: installs the client programs, makes the images, and runs the tests of this folder, or of the
 * clients that are named. Ends with the line `N passed, N failed`.
 */
const chosen = process.argv.slice(2);
const all = readdirSync(import.meta.dir)
  .filter((file) => file.endsWith('.test.ts'))
  .toSorted(crashLast);
const files = chosen.length === 0 ? all : chosen.map((name) => `${name}.test.ts`);

let outcome: Outcome;
try {
  const unknown = files.filter((file) => !all.includes(file));
  if (unknown.length > 0) throw new Error(`there is no ${unknown.join(', ')} in ${import.meta.dir}`);
  await installClients();
  imageFixtures();
  outcome = await runTests(files);
} catch (error) {
  console.error(`The tests with real clients cannot be run: ${String(error)}`);
  outcome = { passed: 0, failed: 1 };
}
console.log(`${outcome.passed} passed, ${outcome.failed} failed`);
process.exitCode = outcome.failed > 0 ? 1 : 0;

interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

/** Runs test files one after the other, showing what they print, and counts their tests. */
async function runTests(names: readonly string[]): Promise<Outcome> {
  const paths = names.map((name) => `./${name}`);
  const tests = Bun.spawn([process.execPath, 'test', '--no-orphans', '--no-env-file', ...paths], {
    cwd: import.meta.dir,
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'pipe',
  });
  let printed = '';
  const decoder = new TextDecoder();
  for await (const piece of tests.stderr) {
    process.stderr.write(piece);
    printed += decoder.decode(piece, { stream: true });
  }
  const exitCode = await tests.exited;
  const passed = countOf('pass', printed);
  const failed = countOf('fail', printed);
  if (passed === undefined || failed === undefined) throw new Error(`bun test ended with ${exitCode} and no summary`);
  return { passed, failed: exitCode === 0 ? failed : Math.max(failed, 1) };
}

/** The number in front of a word in the summary of `bun test`. */
function countOf(word: 'pass' | 'fail', printed: string): number | undefined {
  const count = printed.match(new RegExp(`^\\s*(\\d+) ${word}$`, 'm'))?.[1];
  return count === undefined ? undefined : Number(count);
}

/** The crash test takes the longest, and a broken client shows sooner elsewhere. */
function crashLast(one: string, other: string): number {
  return Number(one.startsWith('crash')) - Number(other.startsWith('crash')) || one.localeCompare(other);
}

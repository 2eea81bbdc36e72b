// npm run build [-- FILE]: Wherry as a single executable, in dist/wherry or in FILE.
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { runToEnd } from './child-process.mjs';
import { ensureSetUp, giveUp, projectDirectory } from './setup.mjs';

const executable = path.resolve(process.argv[2] ?? path.join(projectDirectory, 'dist', 'wherry'));
const { version } = JSON.parse(readFileSync(path.join(projectDirectory, 'package.json'), 'utf8'));

const bun = await ensureSetUp().catch(giveUp);
const { code } = await runToEnd(
  [
    bun,
    'build',
    '--compile',
    '--minify',
    '--sourcemap=none',
    // Files that lie where the executable is called must not change what it does.
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
    `--define=process.env.WHERRY_BUILD_VERSION=${JSON.stringify(version)}`,
    'src/main.ts',
    // Threads begin at files of their own.
    'src/metadata/sqlite/checkpoint-worker.ts',
    // All in one directory: what begins a thread looks for its file beside itself.
    '--entry-naming=[name].[ext]',
    `--outfile=${executable}`,
  ],
  { cwd: projectDirectory },
);
if (code === 0) {
  const sizeMiB = statSync(executable).size / 2 ** 20;
  console.log(`${path.relative(process.cwd(), executable)}: Wherry ${version}, ${sizeMiB.toFixed(1)} MiB`);
}
process.exitCode = code ?? 1;

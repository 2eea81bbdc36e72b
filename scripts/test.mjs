// npm test -- ARGUMENTS: the checks, then all tests that need nothing but Node and npm. The arguments go to `bun test`,
// such as a part of a file's name.
import path from 'node:path';
import { runToEnd } from './child-process.mjs';
import { ensureSetUp, giveUp, projectDirectory } from './setup.mjs';

/** The real clients have their own command, npm run e2e, which installs them; the storm takes minutes: npm run storm, and so do the crashes: npm run crash, and purges under fire: npm run purge. The slow connections take all of the machine: npm run slow-connections. The fuzzing installs what it needs: npm run fuzz, and so do PostgreSQL and S3: npm run test:scale. */
const elsewhere = [
  '--path-ignore-patterns=test/clients/**',
  '--path-ignore-patterns=test/storm/**',
  '--path-ignore-patterns=test/crash/**',
  '--path-ignore-patterns=test/purge-fire/**',
  '--path-ignore-patterns=test/slow-connections/**',
  '--path-ignore-patterns=test/fuzz/**',
  '--path-ignore-patterns=test/scale/**',
];

/** No test is about speed: on a busy machine they all take longer. */
const patience = '--timeout=30000';

const bun = await ensureSetUp().catch(giveUp);
const here = { cwd: projectDirectory };
const check = await runToEnd([process.execPath, path.join(projectDirectory, 'scripts', 'check.mjs')], here);
const tests = await runToEnd(
  [bun, 'test', '--no-orphans', '--no-env-file', patience, ...elsewhere, ...process.argv.slice(2)],
  here,
);
process.exitCode = check.code === 0 && tests.code === 0 ? 0 : 1;

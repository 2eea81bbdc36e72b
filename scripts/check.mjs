// npm run check: types, lint rules and formatting. Each part runs even if one before it fails.
import path from 'node:path';
import { runToEnd } from './child-process.mjs';
import { ensureSetUp, giveUp, projectDirectory } from './setup.mjs';

const checks = [
  ['tsc', '--noEmit'],
  ['oxlint', '--quiet'],
  ['prettier', '--check', '--log-level=warn', '.'],
];

await ensureSetUp().catch(giveUp);
const failed = [];
for (const [program, ...args] of checks) {
  console.log(`check: ${program}`);
  const { code } = await runToEnd([path.join(projectDirectory, 'node_modules', '.bin', program), ...args], {
    cwd: projectDirectory,
  });
  if (code !== 0) failed.push(program);
}
if (failed.length > 0) console.error(`check: not in order: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;

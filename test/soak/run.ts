// npm run soak [-- MEBIBYTES]: fills a small file system five times over while policies and the bounds make room, then
// fills it without any, and has the registry come out of it. Ends with 0 where it did.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Checks } from './checks.ts';
import { fillAndRecover } from './fill-and-recover.ts';
import { soakDisk } from './soak-disk.ts';
import { writeFiveTimes } from './write-five-times.ts';

const mebibytes = Number(process.argv[2] ?? 2048);
const directory = mkdtempSync(join(tmpdir(), 'wherry-soak-'));
const executable = join(directory, 'wherry');
const checks = new Checks();
try {
  const build = Bun.spawn(['node', join(import.meta.dir, '..', '..', 'scripts', 'build.mjs'), executable], {
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'inherit',
  });
  if ((await build.exited) !== 0) throw new Error('the registry could not be built');
  for (const variant of [writeFiveTimes, fillAndRecover]) {
    const begun = performance.now();
    await using disk = await soakDisk(mebibytes);
    await variant({ executable, disk, mebibytes, logs: directory, checks });
    console.log(`      ${variant.name} took ${Math.round((performance.now() - begun) / 1000)} s`);
  }
} catch (error) {
  checks.check('the soak comes to its end', false, String(error));
} finally {
  if (!checks.hasFailed) rmSync(directory, { recursive: true });
  else console.log(`the logs are in ${directory}`);
}
console.log(checks.sum);
process.exitCode = checks.hasFailed ? 1 : 0;

import { join } from 'node:path';
import { storesBeside } from '../pairs/stores-beside.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

/** Runs a command on a data directory to its end, without settings of whoever runs the tests. */
export async function wherry(data: string, ...args: readonly string[]) {
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('WHERRY_'));
  const child = Bun.spawn([process.execPath, main, ...args, '--data', data], {
    env: { ...Object.fromEntries(environment), ...storesBeside(data).environment },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

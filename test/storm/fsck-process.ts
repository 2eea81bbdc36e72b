import { join } from 'node:path';
import { z } from 'zod';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

const line = z.union([
  z.object({ counts: z.record(z.string(), z.number()) }),
  z.object({ code: z.string(), severity: z.string(), about: z.string(), message: z.string() }),
]);

/**
 * What `wherry fsck` finds in a data directory, beside its server or without one, as `severity code about: message`.
 *
 * @param flags more of the command's, such as `--rehash`
 * @throws where it could not look
 */
export async function findingsIn(dataDirectory: string, ...flags: readonly string[]): Promise<readonly string[]> {
  const child = Bun.spawn([process.execPath, main, 'fsck', '--data', dataDirectory, '--json', ...flags], {
    // As it is now, not as it was when this process began.
    env: { ...process.env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code > 1) throw new Error(`wherry fsck has ended with ${code}: ${err}`);
  const lines = out
    .trimEnd()
    .split('\n')
    .map((text) => line.parse(JSON.parse(text)));
  return lines.flatMap((each) =>
    'counts' in each ? [] : [`${each.severity} ${each.code} ${each.about}: ${each.message}`],
  );
}

import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { requireGo } from '../../test/install/go-tools.ts';
import { outputOf } from '../command.ts';
import { treeUsage } from '../process-tree.ts';

const source = path.join(import.meta.dir, 'load');
const program = path.join(import.meta.dir, '..', '..', '.cache', 'bin', 'scale-load');

const report = z.object({
  count: z.number(),
  bytes: z.number(),
  allBytes: z.number(),
  seconds: z.number(),
  cpuSeconds: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
});

/** What a load came to, and what it cost. */
export interface Loaded extends z.infer<typeof report> {
  /** User and system time of the registry's processes meanwhile, in seconds. */
  readonly serverCpuSeconds: number;
}

/** Builds the load generator, which is written in Go so that it takes little beside the registry. */
export async function buildLoad(): Promise<void> {
  await requireGo();
  await outputOf(['go', 'build', '-C', source, '-o', program, '.']);
  if (!existsSync(program)) throw new Error(`go has not built ${program}`);
}

/** Puts a load on a registry; what its first second has cost is not counted. */
export async function load(
  serverPids: readonly number[],
  ...parameters: readonly (string | number)[]
): Promise<Loaded> {
  const cpuSeconds = (): number => serverPids.reduce((sum, pid) => sum + treeUsage(pid).cpuSeconds, 0);
  const child = Bun.spawn([program, ...parameters.map(String)], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  let text = '';
  let before: number | undefined;
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.startsWith('begun')) before ??= cpuSeconds();
  }
  const after = cpuSeconds();
  const [errors, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
  if (exitCode !== 0 || before === undefined) throw new Error(errors.trim());
  return { ...report.parse(JSON.parse(text.slice('begun'.length))), serverCpuSeconds: after - before };
}

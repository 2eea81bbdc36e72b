import { join } from 'node:path';
import { type StormReport, stormReport } from '../../src/storm/report.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

export interface StormRun {
  readonly code: number;
  /** What it has printed. */
  readonly text: string;
  readonly report: StormReport;
}

/** A registry, and a directory for what is told of it. */
interface StormyRegistry {
  readonly directory: string;
  /** Of each of its processes. */
  readonly origins: readonly string[];
}

/** Runs `wherry storm` on a registry, as anybody would, to its end. */
export async function runStorm(registry: StormyRegistry, ...flags: readonly string[]): Promise<StormRun> {
  const json = join(registry.directory, 'report.json');
  const command = [process.execPath, main, 'storm', ...registry.origins, '--json', json, ...flags];
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
  const report = stormReport.parse(await Bun.file(json).json());
  return { code, text, report };
}

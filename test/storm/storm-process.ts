import { join } from 'node:path';
import { type StormReport, stormReport } from '../../src/storm/report.ts';
import type { SqueezedRegistry } from './squeezed-registry.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

export interface StormRun {
  readonly code: number;
  /** What it has printed. */
  readonly text: string;
  readonly report: StormReport;
}

/** Runs `wherry storm` on a registry, as anybody would, to its end. */
export async function runStorm(registry: SqueezedRegistry, ...flags: readonly string[]): Promise<StormRun> {
  const json = join(registry.directory, 'report.json');
  const command = [process.execPath, main, 'storm', registry.origin, '--json', json, ...flags];
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
  const report = stormReport.parse(await Bun.file(json).json());
  return { code, text, report };
}

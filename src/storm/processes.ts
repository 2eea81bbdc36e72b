import { mergeReports, type StormReport, stormReport } from './report.ts';

/**
 * Runs a storm in several processes of this program, each with the arguments and its own number, and adds up what they
 * report. One process can make no more load than one core.
 */
export async function runInProcesses(args: readonly string[], processes: number): Promise<StormReport> {
  const reports = await Promise.all(
    Array.from({ length: processes }, async (_unused, number) => {
      const child = Bun.spawn([...thisProgram(), ...args, '--as-process', String(number)], {
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'inherit',
      });
      const [output, code] = await Promise.all([child.stdout.text(), child.exited]);
      if (code !== 0) throw new Error(`process ${number + 1} of the storm ended with ${code}`);
      return stormReport.parse(JSON.parse(output));
    }),
  );
  return mergeReports(reports);
}

/** How this program was started: by the runtime, or as an executable that has it inside. */
function thisProgram(): readonly string[] {
  return Bun.main.startsWith('/$bunfs/') ? [process.execPath] : [process.execPath, Bun.main];
}

import { z } from 'zod';

/** What a load generator prints, as one line of JSON, when its time is over. */
export const loadReport = z.object({
  /** Requests or images completed. */
  count: z.number(),
  /** From the first request to the last answer. */
  seconds: z.number(),
  /** The generator's own CPU time: above one second a second it is itself the bottleneck. */
  generatorCpuSeconds: z.number(),
});

export type LoadReport = z.infer<typeof loadReport>;

/** Runs `work` on every worker number at once until the time is over and prints the report. */
export async function reportLoad(
  workers: number,
  seconds: number,
  work: (worker: number, isOver: () => boolean) => Promise<number>,
): Promise<void> {
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  const endsAt = startedAt + seconds * 1000;
  const isOver = (): boolean => performance.now() >= endsAt;
  const counts = await Promise.all(Array.from({ length: workers }, (_unused, worker) => work(worker, isOver)));
  const cpu = process.cpuUsage(cpuBefore);
  const report: LoadReport = {
    count: counts.reduce((sum, count) => sum + count, 0),
    seconds: (performance.now() - startedAt) / 1000,
    generatorCpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
  console.log(JSON.stringify(report));
}

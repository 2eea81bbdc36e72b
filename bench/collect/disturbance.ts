import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { freePort } from '../../test/server/free-port.ts';
import { ServerProcess } from '../../test/server/server-process.ts';
import { countReleased } from './filled-directory.ts';
import { outputOf } from '../command.ts';
import { type SteadyReport, steadyReport } from '../load/steady-report.ts';

const load = join(import.meta.dir, '..', 'load', 'steady.ts');
const steeredServer = join(import.meta.dir, 'steered-server.ts');
const pushesASecond = 30;
const pullsASecond = 300;

/** How long pushes and pulls took while the collector rested, and while it worked. */
export interface Disturbance {
  readonly resting: SteadyReport;
  readonly working: SteadyReport;
  /** Images that were collected in a second meanwhile. */
  readonly collectedASecond: number;
}

/**
 * Puts a steady load on a registry that has much to collect, and lets its collector rest and work in turns, so that both
 * have seen the same noise of the machine.
 *
 * @throws where it had nothing left to collect before the end
 */
export async function measureDisturbance(directory: string, rounds: number, seconds: number): Promise<Disturbance> {
  const port = freePort();
  const command: [string, ...string[]] = [process.execPath, steeredServer, directory, `127.0.0.1:${port}`];
  await using server = await ServerProcess.start(port, join(directory, 'log'), { command });
  const run = async (name: string): Promise<SteadyReport> => {
    const parameters = [port, seconds, pushesASecond, pullsASecond, name].map(String);
    return steadyReport.parse(JSON.parse(await outputOf([process.execPath, load, ...parameters])));
  };
  await run('warm-up');
  const [resting, working]: [SteadyReport, SteadyReport] = [
    { pushesMs: [], pullsMs: [] },
    { pushesMs: [], pullsMs: [] },
  ];
  const before = countReleased(directory);
  let workedMs = 0;
  for (let round = 1; round <= rounds; round += 1) {
    add(resting, await run(`resting-${round}`));
    const startedAt = performance.now();
    process.kill(server.pid, 'SIGUSR2');
    add(working, await run(`working-${round}`));
    process.kill(server.pid, 'SIGUSR1');
    workedMs += performance.now() - startedAt;
  }
  const after = countReleased(directory);
  if (!hasMoreToCollect(directory)) throw new Error('there was not enough to collect: release more images');
  await server.stop();
  return { resting, working, collectedASecond: (before - after) / (workedMs / 1000) };
}

function add(all: SteadyReport, more: SteadyReport): void {
  all.pushesMs.push(...more.pushesMs);
  all.pullsMs.push(...more.pullsMs);
}

/** Whether reviews are due: of released images, or of what they held. */
function hasMoreToCollect(directory: string): boolean {
  using database = new Database(join(directory, 'wherry.db'), { readonly: true });
  return database.query('select 1 from task where due_at <= ? limit 1').get(Date.now()) !== null;
}

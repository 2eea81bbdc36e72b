import { Database } from 'bun:sqlite';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../test/server/free-port.ts';
import { ServerProcess } from '../../test/server/server-process.ts';
import type { Bar } from '../bars.ts';
import { outputOf } from '../command.ts';
import { readWrkReport } from '../generated-load.ts';
import { treeUsage } from '../process-tree.ts';
import { repositoryName } from './filled-registry.ts';
import { quantile } from './quantile.ts';

const pullServer = join(import.meta.dir, 'pull-server.ts');
const connections = 32;

export interface PullTurns {
  /** How often pulls are recorded and not recorded, in turns. */
  readonly turns: number;
  /** How long each turn lasts, in seconds. It takes some before recorded pulls are written. */
  readonly seconds: number;
}

interface Pulls {
  readonly perSecond: number;
  readonly cpuMicrosecondsEach: number;
}

/**
 * How many manifests can be pulled in a second while that is recorded, and while it is not, in one server: of one tag,
 * of many, and of one by policies that ask who pulls.
 *
 * @throws where wrk is not installed
 */
export async function pullBars(directory: string, turns: PullTurns): Promise<readonly Bar[]> {
  const one = targetsIn(directory, 1);
  const many = targetsIn(directory, 2000);
  return [
    await measure(directory, 'pulls of one tag, recorded ÷ not recorded', one, turns),
    await measure(directory, `pulls of ${many.length} tags, recorded ÷ not recorded`, many, turns),
    // Nobody is ignored, but everybody is looked at: that takes longer than to record.
    await measure(directory, 'pulls of one tag, by user agents ÷ not recorded', one, turns, 'Trivy/**'),
  ];
}

/** Paths of manifests, from as many repositories as there are. */
function targetsIn(directory: string, count: number): readonly string[] {
  using database = new Database(join(directory, 'wherry.db'), { readonly: true });
  const repositories =
    database.query<{ count: number }, []>('select count(*) as count from repository').get()?.count ?? 0;
  const query = database.query<{ name: string }, [string, number]>(
    'select name from tag where repo = ? order by name limit 1 offset ?',
  );
  return Array.from({ length: count }, (_, index) => {
    const repo = repositoryName(index % repositories);
    const tag = query.get(repo, Math.floor(index / repositories))?.name;
    if (tag === undefined) throw new Error(`${repo} has too few tags`);
    return `/v2/${repo}/manifests/${tag}`;
  });
}

async function measure(
  directory: string,
  what: string,
  targets: readonly string[],
  { turns, seconds }: PullTurns,
  ignored?: string,
): Promise<Bar> {
  const script = join(directory, 'targets.lua');
  await writeFile(script, wrkScript(targets));
  const port = freePort();
  await using server = await ServerProcess.start(port, join(directory, 'log'), {
    command: [
      process.execPath,
      pullServer,
      directory,
      `127.0.0.1:${port}`,
      ...(ignored === undefined ? [] : [ignored]),
    ],
  });
  const load = async (): Promise<Pulls> => {
    const before = treeUsage(server.pid).cpuSeconds;
    const command = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, server.origin];
    const { count, seconds: took } = readWrkReport(await outputOf(command));
    const cpuSeconds = treeUsage(server.pid).cpuSeconds - before;
    return { perSecond: count / took, cpuMicrosecondsEach: (cpuSeconds / count) * 1e6 };
  };
  await load();
  const [on, off]: [Pulls[], Pulls[]] = [[], []];
  for (let turn = 0; turn < turns; turn += 1) {
    // On off, off on, …: what gets slower gets slower for both.
    for (const isRecorded of turn % 2 === 0 ? [true, false] : [false, true]) {
      process.kill(server.pid, isRecorded ? 'SIGUSR2' : 'SIGUSR1');
      (isRecorded ? on : off).push(await load());
    }
  }
  await server.stop();
  const ratios = on.map(({ perSecond }, turn) => perSecond / (off[turn]?.perSecond ?? NaN));
  const perSecond = (all: readonly Pulls[]): string =>
    quantile(
      all.map((each) => each.perSecond),
      0.5,
    ).toFixed(0);
  const cpu = (all: readonly Pulls[]): string =>
    quantile(
      all.map((each) => each.cpuMicrosecondsEach),
      0.5,
    ).toFixed(1);
  return {
    what,
    figures: [`${perSecond(on)} ÷ ${perSecond(off)} a second`, `${cpu(on)} ÷ ${cpu(off)} µs CPU each`],
    is: quantile(ratios, 0.5),
    limit: ignored === undefined ? 0.97 : 0.9,
    better: 'higher',
    unit: '×',
  };
}

function wrkScript(targets: readonly string[]): string {
  const requests = targets.map((target) => `  wrk.format("GET", "${target}"),`).join('\n');
  return `local requests, at
init = function()
  requests = {
${requests}
  }
  at = 0
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
`;
}

// npm run bench:scale: what several processes give, on one machine and on one database with one bucket. Ends with 1 where a
// goal is missed.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { goTool } from '../../test/install/go-tools.ts';
import { barTable, isMissed } from '../bars.ts';
import { processTree } from '../process-tree.ts';
import { measureDeletes } from './delete-growth.ts';
import { type GoalFigures, goalsOf } from './goals.ts';
import { buildLoad, type Loaded, load } from './load.ts';
import { measureMeetings, meetingsTable, type PushMeetings } from './meetings.ts';
import { Backends, clusterSetup, distributionSetup, type Setup, workersSetup } from './setups.ts';
import { statementsPerRequest } from './statements.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '1' },
    processes: { type: 'string', default: '1,2,4' },
    only: { type: 'string', default: 'sqlite,cluster,distribution,meetings,deletes' },
    sizes: { type: 'string', default: '10000,100000,1000000' },
    dir: { type: 'string', default: '.cache' },
    json: { type: 'string' },
  },
});
const seconds = Number(values.seconds);
const counts = values.processes.split(',').map(Number);
const wanted = new Set(values.only.split(','));

/** Small images: blobs of an image, and the size of each in bytes. */
const small = { blobs: 3, bytes: 4096, connections: 16 };
const large = { blobs: 1, bytes: 64 * 1024 * 1024, connections: 2 };
/**
 * Requests that are sent with one call, so that the generator takes little, where each costs the registry little too. The
 * runtime closes connections on which more come while one waits for another server.
 */
const batches = { alone: 32, behindOthers: 1 };
const manifestConnections = 32;

interface Measured {
  readonly setup: Pick<Setup, 'name' | 'kind' | 'processes'>;
  readonly manifests: Loaded;
  readonly pushed: Loaded;
  readonly pulled: Loaded;
  readonly largePushed: Loaded;
  readonly largePulled: Loaded;
  /** Bytes that were written to the disk for each that was pushed in large blobs. */
  readonly writtenPerByte: number;
}

async function measure(setup: Setup): Promise<Measured> {
  const origins = setup.hosts.join(',');
  const { pids } = setup;
  const pushed = await load(pids, 'push', origins, 'bench/small', small.blobs, small.bytes, small.connections, seconds);
  const tags = await tagsOf(setup, 'bench/small');
  const pulled = await load(pids, 'pull', origins, 'bench/small', tags.join(','), small.connections, seconds);
  const manifest = `/v2/bench/small/manifests/${tags[0]}`;
  const manifests = await load(
    pids,
    'manifests',
    origins,
    manifest,
    setup.isAlone ? batches.alone : batches.behindOthers,
    manifestConnections,
    seconds,
  );
  await sync();
  const before = writtenBytes(setup.writerPids);
  const largePushed = await load(
    pids,
    'push',
    origins,
    'bench/large',
    large.blobs,
    large.bytes,
    large.connections,
    seconds,
  );
  await sync();
  const writtenPerByte = (writtenBytes(setup.writerPids) - before) / largePushed.allBytes;
  const largeTags = await tagsOf(setup, 'bench/large');
  const largePulled = await load(pids, 'pull', origins, 'bench/large', largeTags.join(','), large.connections, seconds);
  const { name, kind, processes } = setup;
  return { setup: { name, kind, processes }, manifests, pushed, pulled, largePushed, largePulled, writtenPerByte };
}

async function tagsOf({ hosts }: Setup, repo: string): Promise<readonly string[]> {
  const answer = await fetch(`http://${hosts[0]}/v2/${repo}/tags/list?n=50`);
  const text = await answer.text();
  const list: unknown = JSON.parse(text);
  if (typeof list !== 'object' || list === null || !('tags' in list) || !Array.isArray(list.tags))
    throw new Error(text);
  return list.tags.map(String);
}

async function sync(): Promise<void> {
  await Bun.spawn(['sync']).exited;
}

/** What processes and all that they have started have had written to the disk, in bytes. */
function writtenBytes(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids.flatMap((one) => processTree(one))) {
    sum += Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
  }
  return sum;
}

/** CPU time of the registry, or of the generator, for a thousand of what was done, in seconds. */
function eachThousand({ serverCpuSeconds, cpuSeconds, count }: Loaded, whose: 'server' | 'generator'): number {
  return ((whose === 'server' ? serverCpuSeconds : cpuSeconds) / count) * 1000;
}

const rate = ({ count, seconds: took }: Loaded): number => count / took;
const megabytes = ({ bytes, seconds: took }: Loaded): number => bytes / took / 1e6;

function row(measured: Measured, all: readonly Measured[]): readonly string[] {
  const { setup, manifests, pushed, pulled, largePushed, largePulled, writtenPerByte } = measured;
  const one = all.find((other) => other.setup.processes === 1 && other.setup.kind === setup.kind) ?? measured;
  const serverEach = eachThousand(manifests, 'server');
  const onFreeCores = (setup.processes * eachThousand(one.manifests, 'server')) / serverEach;
  return [
    setup.name,
    rate(manifests).toLocaleString('en', { maximumFractionDigits: 0 }),
    manifests.p99Ms.toFixed(1),
    `${(rate(manifests) / rate(one.manifests)).toFixed(2)}×`,
    serverEach.toFixed(4),
    eachThousand(manifests, 'generator').toFixed(4),
    `${onFreeCores.toFixed(2)}×`,
    rate(pushed).toFixed(0),
    pushed.p99Ms.toFixed(0),
    eachThousand(pushed, 'server').toFixed(2),
    rate(pulled).toFixed(0),
    pulled.p99Ms.toFixed(0),
    megabytes(largePushed).toFixed(0),
    megabytes(largePulled).toFixed(0),
    writtenPerByte.toFixed(2),
  ];
}

const titles = [
  '',
  'manifest GETs/s',
  `p99 of ${batches.alone} at once (alone), of one (behind others), ms`,
  'times one process',
  'server, CPU-s per 1,000',
  'generator, CPU-s per 1,000',
  'on free cores (arithmetic)',
  'small images pushed/s',
  'p99, ms',
  'server, CPU-s per 1,000',
  'small images pulled/s',
  'p99, ms',
  'large blobs pushed, MB/s',
  'large blobs pulled, MB/s',
  'bytes written per byte pushed',
];

/** Markdown, a column for each registry. */
function table(rows: readonly (readonly string[])[]): string {
  const lines = titles.map((title, index) => `| ${[title, ...rows.map((each) => each[index] ?? '')].join(' | ')} |`);
  const [head = '', ...rest] = lines;
  return [head, `| --- |${' ---: |'.repeat(rows.length)}`, ...rest].join('\n');
}

await buildLoad();
await using backends = new Backends(path.resolve(values.dir));
const begun: (() => Promise<Setup>)[] = [];
if (wanted.has('sqlite')) for (const count of counts) begun.push(() => workersSetup(backends, count));
if (wanted.has('cluster')) for (const count of counts) begun.push(() => clusterSetup(backends, count));
if (wanted.has('distribution')) {
  const program = await goTool('registry');
  begun.push(() => distributionSetup(backends, program));
}
const rounds: Measured[][] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  const measured: Measured[] = [];
  for (const begin of begun) {
    await using setup = await begin();
    console.error(`round ${round + 1}: ${setup.name}`);
    try {
      const one = await measure(setup);
      measured.push(one);
      console.error(row(one, measured).join(' | '));
    } catch (error) {
      // What others have been measured to do is not lost by it.
      console.error(`${setup.name} failed: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
  rounds.push(measured);
}
for (const measured of rounds.filter(({ length }) => length > 0))
  console.log(`\n${table(measured.map((each) => row(each, measured)))}`);
const meetings: PushMeetings[] = [];
if (wanted.has('meetings')) {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const repositories of [1, 16]) {
      for (const processes of counts) {
        meetings.push(await measureMeetings(backends, { processes, repositories, seconds }));
      }
    }
  }
  console.log(`\n${meetingsTable(meetings)}`);
}
const work = await statementsPerRequest(backends.directory);
const workOnServers = wanted.has('cluster')
  ? await statementsPerRequest(backends.directory, await backends.places())
  : [];
console.log(
  '\n| request | statements, synced transactions | the same on PostgreSQL and MinIO |\n| --- | ---: | ---: |',
);
for (const [at, { request, statements, writes }] of work.entries()) {
  const other = workOnServers[at];
  const onServers = other === undefined ? '' : `${other.statements}, ${other.writes}`;
  console.log(`| ${request} | ${statements}, ${writes} | ${onServers} |`);
}
const growth = wanted.has('deletes')
  ? await measureDeletes(
      { postgres: await backends.postgres(), parent: backends.directory },
      values.sizes.split(',').map(Number),
      { rounds: 4, deletes: 20 },
    )
  : [];
if (growth.length > 0) {
  console.log(
    '\n| an image deleted on PostgreSQL, bytes included, of | ms | statements | rows |\n| --- | ---: | ---: | ---: |',
  );
  for (const { images, ms, statements, rows } of growth)
    console.log(`| ${images.toLocaleString('en')} images | ${ms.toFixed(1)} | ${statements} | ${rows} |`);
}
console.log(
  `\n${availableParallelism()} cores, which the load generator, and where there are some the database and the S3 server, share.`,
);
const figures = rounds.map((measured) =>
  measured.map(({ setup, manifests, writtenPerByte }): GoalFigures => ({
    ...setup,
    manifestsPerSecond: rate(manifests),
    writtenPerByte,
  })),
);
const goals = goalsOf(figures, growth);
console.log(`\n${barTable([''], goals)}`);
if (goals.some(isMissed)) process.exitCode = 1;
if (values.json !== undefined)
  await Bun.write(values.json, JSON.stringify({ rounds, meetings, work, workOnServers, growth, goals }, null, 2));

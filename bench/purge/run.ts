/**
 * `npm run bench:purge [-- FLAGS]`: how long a purge takes until the last byte is removed. bench/README.md explains the
 * figures. Ends with 1 where the aim is missed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { directoryCalls } from '../../src/blobs/directory/calls.ts';
import { databaseCalls } from '../../src/metadata/sqlite/calls.ts';
import { startServer } from '../../src/server/server.ts';
import { type Bar, barTable, isMissed } from '../bars.ts';
import { fillDirectory } from '../collect/filled-directory.ts';
import { quietServer } from '../collect/in-process.ts';
import { median } from '../figures.ts';
import { addSecret, type Secret } from './secrets.ts';

const mebibyte = 1024 * 1024;
const aimMs = 250;
const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

const options = new Command('bench:purge')
  .option('--images <count>', 'how many images the registry holds', wholeNumber, 100_000)
  .option('--users <count>', 'how many of them use the blob', wholeNumber, 1000)
  .option('--mebibytes <count>', 'how large the blob is', wholeNumber, 1024)
  .option('--rounds <count>', 'how many blobs are purged one after the other', wholeNumber, 3)
  .option('--dir <directory>', 'where the registry is filled', '.cache')
  .parse()
  .opts<{ images: number; users: number; mebibytes: number; rounds: number; dir: string }>();

/** When the parts of a purge were over, in ms after it was asked for. */
interface Course {
  readonly committed: number;
  /** What the process had computed until then, in ms: what it would take where nobody else is at work. */
  readonly cpu: number;
  /** From here on the responses that sent it are cut. */
  readonly truncating: number;
  readonly truncated: number;
  readonly removed: number;
  readonly answered: number;
}

const directory = join(await mkdtemp(join(resolve(options.dir), 'purge-')), 'data');
try {
  process.exitCode = (await measure()) ? 0 : 1;
} finally {
  await rm(join(directory, '..'), { recursive: true, force: true });
}

async function measure(): Promise<boolean> {
  const { images, users, mebibytes, rounds } = options;
  await fillDirectory(directory, images);
  const secrets: Secret[] = [];
  // One to begin with, in a program that has just been started; then those that count, one overwritten, one by command.
  for (let number = 0; number < rounds + 3; number += 1) {
    secrets.push(
      await addSecret(directory, number, { sizeBytes: mebibytes * mebibyte, users, images, secrets: rounds + 3 }),
    );
  }
  const times = new Map<string, number>();
  const note = (what: string): void => {
    times.set(what, performance.now());
  };
  const server = await startServer({
    ...(await quietServer(directory, '127.0.0.1:0')),
    syncs: {
      blobs: {
        ...directoryCalls,
        async truncate(path, sizeBytes) {
          note('truncating');
          await directoryCalls.truncate(path, sizeBytes);
          note('truncated');
        },
        async unlink(path) {
          await directoryCalls.unlink(path);
          note('removed');
        },
      },
      database: {
        ...databaseCalls,
        commit(run) {
          const result = databaseCalls.commit(run);
          if (!times.has('committed')) {
            note('committed');
            times.set('cpu', cpuMs());
          }
          return result;
        },
      },
    },
  });
  server.collector.pause();
  const origin = server.url;

  async function course(secret: Secret, ask: () => Promise<void>): Promise<Course> {
    const startedAt = performance.now();
    const cpuBefore = cpuMs();
    times.clear();
    await ask();
    note('answered');
    if (existsSync(join(directory, 'objects', secret.oid.slice(0, 2), secret.oid)))
      throw new Error('it is still there');
    const after = (what: string): number => (times.get(what) ?? NaN) - startedAt;
    return {
      committed: after('committed'),
      cpu: (times.get('cpu') ?? NaN) - cpuBefore,
      truncating: after('truncating'),
      truncated: after('truncated'),
      removed: after('removed'),
      answered: after('answered'),
    };
  }
  const purge = async (secret: Secret | undefined, shred = false): Promise<Course> => {
    if (secret === undefined) throw new Error('there are too few blobs');
    return await course(secret, async () => {
      const authorization = `Bearer ${readFileSync(join(directory, 'admin.token'), 'utf8').trim()}`;
      const body = JSON.stringify({ digests: [secret.digest], reason: 'a bench', shred });
      const answer = await fetch(`${origin}/admin/v1/purge`, { method: 'POST', headers: { authorization }, body });
      if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
    });
  };
  try {
    const first = await purge(secrets.shift());
    const courses: Course[] = [];
    for (let round = 0; round < rounds; round += 1) courses.push(await purge(secrets.shift()));
    const shredded = await purge(secrets.shift(), true);
    const last = secrets.shift();
    if (last === undefined) throw new Error('there are too few blobs');
    const byCommand = await course(last, () => command(last.digest));
    const bars = [...barsOf(courses)];
    bars.push({ ...one('the first one after a start: last byte removed', first), limit: Infinity });
    bars.push({ ...one('from the start of `wherry purge`: last byte removed', byCommand), limit: Infinity });
    bars.push({ ...one('with --shred: last byte removed', shredded), limit: Infinity });
    console.log(barTable(['each'], bars));
    return !bars.some(isMissed);
  } finally {
    await server.stop();
  }

  async function command(digest: string): Promise<void> {
    const where = ['--data', directory];
    const child = Bun.spawn([process.execPath, main, 'purge', digest, '--why', 'a bench', '--yes', ...where], {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'inherit',
    });
    if ((await child.exited) !== 0) throw new Error('the command has failed');
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function one(what: string, { removed }: Course): Bar {
  return { what, figures: [''], is: removed, limit: aimMs, better: 'lower', unit: ' ms' };
}

function barsOf(courses: readonly Course[]): readonly Bar[] {
  const bar = (what: string, limit: number, of: (course: Course) => number): Bar => ({
    what,
    figures: [courses.map((course) => of(course).toFixed(0)).join(', ')],
    is: median(courses.map(of)) ?? NaN,
    limit,
    better: 'lower',
    unit: ' ms',
  });
  return [
    bar('from the request: last byte removed', aimMs, ({ removed }) => removed),
    bar('the transaction: how long nothing else is answered', Infinity, ({ committed }) => committed),
    bar('its CPU time', Infinity, ({ cpu }) => cpu),
    bar('its sync, and cutting responses', Infinity, ({ truncating, committed }) => truncating - committed),
    bar('truncating', Infinity, ({ truncated, truncating }) => truncated - truncating),
    bar('unlinking', Infinity, ({ removed, truncated }) => removed - truncated),
    bar('syncing that, forgetting, and the check', Infinity, ({ answered, removed }) => answered - removed),
  ];
}

function wholeNumber(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('a whole number, please');
  return count;
}

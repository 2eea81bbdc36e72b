import { expect, test } from 'bun:test';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { until } from '../server/until.ts';
import { findingsIn } from '../storm/fsck-process.ts';
import { main, signal, WorkerProcesses } from './worker-processes.ts';

/** How long a storm lasts, in seconds. */
const stormSeconds = 8;

test('workers that are killed are replaced, and their supervisor ends them all in good order', async () => {
  await using registry = await WorkerProcesses.start(2);
  await until('both serve', () => registry.workers.length === 2);
  for (let kills = 0; kills < 2; kills++) {
    const before = registry.workers;
    for (const pid of before) signal(pid, 'SIGKILL');
    await until('two others serve', () => {
      const now = registry.workers;
      return now.length === 2 && now.every((pid) => !before.includes(pid));
    });
    await until('they answer', async () => (await answered(`${registry.origin}/readyz`)) === 200);
  }
  const { workers } = registry;
  expect(await registry.supervisor.stop()).toBe(0);
  for (const pid of workers) expect(signal(pid, 0)).toBe(false);
  expect((await registry.log()).match(/a worker has died/g)).toHaveLength(4);
}, 60_000);

test('the next registry waits for the workers of a supervisor that was killed, and serves when they have ended', async () => {
  await using registry = await WorkerProcesses.start(2);
  await until('both serve', () => registry.workers.length === 2);
  const [stopped = 0, other = 0] = registry.workers;
  // It cannot notice that its supervisor is gone.
  signal(stopped, 'SIGSTOP');
  await registry.supervisor.kill();
  await until('the other worker ends', () => !signal(other, 0));
  const next = Bun.spawn([...registry.command], { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });
  signal(stopped, 'SIGCONT');
  await until('it ends', () => !signal(stopped, 0));
  await until('the next registry serves', async () => (await answered(`${registry.origin}/readyz`)) === 200);
  next.kill('SIGTERM');
  expect(await next.exited).toBe(0);
  await registry.resume();
  expect(await findingsIn(registry.dataDirectory)).toEqual([]);
}, 60_000);

test('nothing that was acknowledged is lost where workers and their supervisor are killed during pushes, pulls and deletes', async () => {
  await using registry = await WorkerProcesses.start(3);
  const flags = [
    '--duration',
    `${stormSeconds}s`,
    '--clients',
    '6',
    // What is promised is half of the window (I7).
    '--lease',
    '1s',
    '--digests',
    '150',
    '--allow-down',
  ];
  const storm = Bun.spawn([process.execPath, main, 'storm', registry.origin, '--seed', '7', ...flags], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const random = new SeededRandom(7);
  const problems: string[] = [];
  for (let kills = 1; storm.exitCode === null; kills++) {
    await Promise.race([storm.exited, Bun.sleep(random.between(200, 900))]);
    if (storm.exitCode !== null) break;
    if (kills % 5 === 0) {
      await registry.supervisor.kill();
      await registry.resume();
      problems.push(...(await findingsIn(registry.dataDirectory)));
    } else {
      const { workers } = registry;
      const pid = workers[random.between(0, workers.length - 1)];
      if (pid !== undefined) signal(pid, 'SIGKILL');
    }
  }
  const text = await storm.stdout.text();
  expect(text).toContain('0 acknowledged images lost, 0 wrong answers: passed');
  expect(problems).toEqual([]);
  expect(await registry.supervisor.stop()).toBe(0);
  expect(await findingsIn(registry.dataDirectory, '--rehash')).toEqual([]);
}, 120_000);

async function answered(url: string): Promise<number | undefined> {
  try {
    return (await fetch(url)).status;
  } catch {
    return undefined;
  }
}

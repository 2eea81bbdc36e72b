// How often transactions of pushes meet on PostgreSQL, and run twice.
import { Client } from 'pg';
import { type Loaded, load } from './load.ts';
import { type Backends, sharedDirectorySetup } from './setups.ts';

const image = { blobs: 3, bytes: 4096, connections: 16 };
const kinds = ['serialization', 'deadlock', 'constraint'] as const;

/** What pushes of small images by so many processes have come to. */
export interface PushMeetings {
  readonly processes: number;
  readonly repositories: number;
  readonly pushed: Loaded;
  /** Transactions that were undone, for a thousand images. */
  readonly undone: Readonly<Record<(typeof kinds)[number], number>>;
  /** Transactions that were committed, of whatever kind, for a thousand images. */
  readonly committed: number;
  /** Deadlocks that PostgreSQL has counted. */
  readonly deadlocks: number;
}

/** Pushes fresh images through so many processes into so many repositories of a database of their own. */
export async function measureMeetings(
  backends: Backends,
  { processes, repositories, seconds }: { processes: number; repositories: number; seconds: number },
): Promise<PushMeetings> {
  await using setup = await sharedDirectorySetup(backends, processes);
  const names = Array.from({ length: repositories }, (_unused, at) => `bench/r${at}`).join(',');
  const database = new Client({ connectionString: setup.database });
  await database.connect();
  const counted = async () => ({ undone: await undoneBy(setup.hosts), ...(await countedBy(database)) });
  const origins = setup.hosts.join(',');
  // The tables of a registry are not empty for long.
  await load(setup.pids, 'push', origins, names, image.blobs, image.bytes, image.connections, 3);
  const before = await counted();
  const pushed = await load(setup.pids, 'push', origins, names, image.blobs, image.bytes, image.connections, seconds);
  const after = await counted();
  await database.end();
  const images = pushed.allBytes / (pushed.bytes / pushed.count);
  const each = (count: number): number => (count / images) * 1000;
  return {
    processes,
    repositories,
    pushed,
    undone: {
      serialization: each(after.undone.serialization - before.undone.serialization),
      deadlock: each(after.undone.deadlock - before.undone.deadlock),
      constraint: each(after.undone.constraint - before.undone.constraint),
    },
    committed: each(after.committed - before.committed),
    deadlocks: after.deadlocks - before.deadlocks,
  };
}

/** What the processes have counted themselves. */
async function undoneBy(hosts: readonly string[]): Promise<Record<(typeof kinds)[number], number>> {
  const sums = { serialization: 0, deadlock: 0, constraint: 0 };
  for (const host of hosts) {
    const text = await (await fetch(`http://${host}/metrics`)).text();
    for (const kind of kinds) {
      const line = new RegExp(`^wherry_database_meetings_total\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(text);
      sums[kind] += Number(line?.[1]);
    }
  }
  return sums;
}

async function countedBy(database: Client): Promise<{ readonly committed: number; readonly deadlocks: number }> {
  const { rows } = await database.query<{ committed: string; deadlocks: string }>(
    'select xact_commit as committed, deadlocks from pg_stat_database where datname = current_database()',
  );
  const [{ committed, deadlocks } = { committed: '0', deadlocks: '0' }] = rows;
  return { committed: Number(committed), deadlocks: Number(deadlocks) };
}

/** Markdown, a line for each. */
export function meetingsTable(measured: readonly PushMeetings[]): string {
  const lines = measured.map(({ processes, repositories, pushed, undone, committed, deadlocks }) =>
    [
      processes,
      repositories,
      (pushed.count / pushed.seconds).toFixed(0),
      pushed.p50Ms.toFixed(0),
      pushed.p99Ms.toFixed(0),
      ((pushed.serverCpuSeconds / pushed.count) * 1000).toFixed(1),
      committed.toFixed(0),
      undone.serialization.toFixed(0),
      undone.constraint.toFixed(0),
      undone.deadlock.toFixed(1),
      deadlocks,
    ].join(' | '),
  );
  return [
    '| processes | repositories | images pushed/s | p50, ms | p99, ms | server, CPU-ms each | committed per 1,000 | 40001 per 1,000 | 23505, 23503 per 1,000 | 40P01 per 1,000 | deadlocks |',
    `|${' ---: |'.repeat(11)}`,
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}

import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { freePort } from '../test/server/free-port.ts';
import { HttpConnection } from './load/http-connection.ts';
import type { PeerAdapter } from './peers/adapter.ts';
import { processTree } from './process-tree.ts';

const firstAnswerLimitMs = 30_000;
const stopLimitMs = 5_000;
const largeFileBytes = 16 << 20;

/** A registry that takes part in the bench. */
export interface Contender {
  readonly adapter: PeerAdapter;
  /** Path of its program. */
  readonly program: string;
}

/** A registry that was started on fresh directories; disposing of it ends its processes and removes its large files. */
export interface RunningRegistry extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** From the start of the process to the first 200 of `GET /v2/`. */
  readonly firstAnswerMs: number;
}

/** One attempt at `GET /v2/`; false while nobody listens. */
async function answersPing(port: number): Promise<boolean> {
  let connection: HttpConnection;
  try {
    connection = await HttpConnection.open(port);
  } catch {
    return false;
  }
  try {
    const answer = await connection.request('GET', '/v2/');
    return answer.status === 200;
  } catch {
    return false;
  } finally {
    connection.close();
  }
}

/** Ends processes by their ids: asks first, and after some seconds does not ask. */
async function endTree(pid: number, exited: Promise<number>): Promise<void> {
  const members = processTree(pid);
  signal(members, 'SIGTERM');
  const limit = AbortSignal.timeout(stopLimitMs);
  await Promise.race([exited, new Promise((resolve) => limit.addEventListener('abort', resolve, { once: true }))]);
  // Those of its descendants that are still there; an id cannot have been given to another process so soon.
  signal(members, 'SIGKILL');
  await exited;
}

/** Ends every process that this one has started, and theirs, at once: for a bench that is itself told to end. */
export function killDescendants(): void {
  signal(processTree(process.pid).slice(1), 'SIGKILL');
}

function signal(pids: readonly number[], name: 'SIGTERM' | 'SIGKILL'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has gone by itself.
    }
  }
}

/**
 * Makes room for the next one. The small files stay until the whole run is over: some file systems (ext4 without a
 * journal) create files several times more slowly for minutes after many have been deleted, and that would be charged to
 * whoever comes next.
 */
async function removeLargeFiles(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    if ((await stat(file)).size >= largeFileBytes) await rm(file);
  }
}

/**
 * Starts a registry with fresh directories under `workDirectory` and waits for its first answer.
 *
 * @throws if it ends or stays silent; the message has the last lines of its output
 */
export async function startRegistry(contender: Contender, workDirectory: string): Promise<RunningRegistry> {
  const { adapter, program } = contender;
  const site = path.join(workDirectory, `${adapter.name}-${crypto.randomUUID()}`);
  const dataDirectory = path.join(site, 'data');
  const configDirectory = path.join(site, 'config');
  await mkdir(dataDirectory, { recursive: true });
  await mkdir(configDirectory);
  const port = freePort();
  const launch = await adapter.prepare({ program, port, dataDirectory, configDirectory });
  const outputPath = path.join(site, 'output.log');
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  const startedAt = performance.now();
  const child = Bun.spawn([...launch.command], {
    cwd: site,
    // Nothing else from our environment: a registry's own variables would change what is measured.
    env: { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...launch.environment },
    stdin: 'ignore',
    stdout: Bun.file(outputPath),
    stderr: Bun.file(`${outputPath}.errors`),
  });
  const stop = async (): Promise<void> => {
    await endTree(child.pid, child.exited);
    await removeLargeFiles(site);
  };
  while (!(await answersPing(port))) {
    const isGone = child.exitCode !== null || child.signalCode !== null;
    if (isGone || performance.now() - startedAt > firstAnswerLimitMs) {
      const output = `${await readFile(outputPath, 'utf8')}${await readFile(`${outputPath}.errors`, 'utf8')}`;
      await stop();
      throw new Error(`${isGone ? 'it ended' : 'it did not answer'} after its start: ${output.slice(-2000).trim()}`);
    }
    await Bun.sleep(1);
  }
  return {
    port,
    pid: child.pid,
    firstAnswerMs: performance.now() - startedAt,
    [Symbol.asyncDispose]: stop,
  };
}

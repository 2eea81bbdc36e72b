import { chmodSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../../test/server/free-port.ts';
import { ServerProcess } from '../../test/server/server-process.ts';
import { type S3Server, startMinio } from '../../test/scale/minio-server.ts';
import { type PostgresServer, startPostgres } from '../../test/scale/postgres-server.ts';
import { processTree } from '../process-tree.ts';
import { firstClosed } from './open-directories.ts';

const main = path.join(import.meta.dir, '..', '..', 'src', 'main.ts');

/** A registry that is measured. */
export interface Setup extends AsyncDisposable {
  readonly name: string;
  readonly kind: 'workers' | 'cluster' | 'distribution';
  readonly processes: number;
  /** Whether it needs no other server, so that a manifest out of memory is all that it is asked for. */
  readonly isAlone: boolean;
  /** host:port of each place where it answers. */
  readonly hosts: readonly string[];
  /** The processes of the registry, with all that they have started. */
  readonly pids: readonly number[];
  /** Who writes the blobs to the disk. */
  readonly writerPids: readonly number[];
}

/** As docs/postgresql.md asks for, and synced, as a server is by default and those of tests are not. */
const asDocumented = [
  'max_pred_locks_per_transaction=256',
  'max_pred_locks_per_page=16',
  'fsync=on',
  'full_page_writes=on',
];

/** What several registries store their data in, one after the other. */
export class Backends implements AsyncDisposable {
  readonly directory: string;
  #postgres: PostgresServer | undefined;
  #minio: { readonly server: S3Server; readonly pids: readonly number[] } | undefined;

  constructor(parent: string) {
    mkdirSync(parent, { recursive: true });
    this.directory = mkdtempSync(path.join(parent, 'scale-'));
    // PostgreSQL runs as another user.
    chmodSync(this.directory, 0o755);
  }

  async postgres(): Promise<PostgresServer> {
    this.#postgres ??= await startPostgres(this.#postgresParent(), asDocumented);
    return this.#postgres;
  }

  /** Its user may not come to what is below somebody's home. */
  #postgresParent(): string {
    const closed = firstClosed(this.directory);
    if (closed === undefined) return this.directory;
    console.error(`PostgreSQL has its data in ${tmpdir()}, as only its owner may pass ${closed}: see --dir`);
    return tmpdir();
  }

  async minio(): Promise<{ readonly server: S3Server; readonly pids: readonly number[] }> {
    if (this.#minio === undefined) {
      const before = new Set(processTree(process.pid));
      const server = await startMinio(this.directory);
      this.#minio = { server, pids: processTree(process.pid).filter((pid) => !before.has(pid)) };
    }
    return this.#minio;
  }

  /** The settings of a registry in a new database and a new bucket; this process may write to it from here on. */
  async places(): Promise<Readonly<Record<string, string>>> {
    const { server } = await this.minio();
    Object.assign(process.env, server.environment);
    const bucket = await server.newBucket();
    const metadata = await (await this.postgres()).newDatabase();
    return { metadata, blobs: `s3://${bucket.name}`, 's3.endpoint': server.endpoint };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#minio?.server.stop();
    await this.#postgres?.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** `wherry serve --workers N` on SQLite and a directory. */
export async function workersSetup({ directory }: Backends, processes: number): Promise<Setup> {
  const data = mkdtempSync(path.join(directory, 'workers-'));
  const port = freePort();
  const flags = [
    '--data',
    data,
    '--listen',
    `127.0.0.1:${port}`,
    '--workers',
    String(processes),
    '--log-level',
    'error',
  ];
  const server = await ServerProcess.start(port, path.join(directory, 'log'), {
    command: [process.execPath, main, 'serve', ...flags],
  });
  const pids = [server.pid];
  return {
    kind: 'workers',
    name: `SQLite, ${processes === 1 ? '1 process' : `${processes} workers`}`,
    processes,
    isAlone: true,
    hosts: [`127.0.0.1:${port}`],
    pids,
    writerPids: pids,
    [Symbol.asyncDispose]: () => server.kill(),
  };
}

/** So many processes on one database and one bucket, each asked by itself. */
export async function clusterSetup(backends: Backends, processes: number): Promise<Setup> {
  const { directory } = backends;
  const { server: s3, pids: writerPids } = await backends.minio();
  const metadata = await (await backends.postgres()).newDatabase();
  const bucket = await s3.newBucket();
  const blobs = ['--blobs', `s3://${bucket.name}/blobs`, '--s3-endpoint', s3.endpoint];
  const started = await startProcesses(directory, processes, {
    flags: () => ['--data', mkdtempSync(path.join(directory, 'cluster-')), '--metadata', metadata, ...blobs],
    environment: s3.environment,
  });
  return {
    kind: 'cluster',
    name: `PostgreSQL + MinIO, ${inWords(processes)}`,
    processes,
    isAlone: false,
    ...started,
    writerPids,
  };
}

/** So many on one database and one directory, where all that they wait for is the database. */
export async function sharedDirectorySetup(
  backends: Backends,
  processes: number,
): Promise<Setup & { readonly database: string }> {
  const { directory } = backends;
  const database = await (await backends.postgres()).newDatabase();
  const data = mkdtempSync(path.join(directory, 'shared-'));
  const started = await startProcesses(directory, processes, {
    flags: () => ['--data', data, '--metadata', database],
  });
  const { pids: writerPids } = started;
  return { kind: 'cluster', name: inWords(processes), processes, isAlone: false, ...started, writerPids, database };
}

function inWords(processes: number): string {
  return processes === 1 ? '1 process' : `${processes} processes`;
}

async function startProcesses(
  directory: string,
  count: number,
  { flags, environment = {} }: { readonly flags: () => string[]; readonly environment?: Record<string, string> },
): Promise<Pick<Setup, 'hosts' | 'pids' | typeof Symbol.asyncDispose>> {
  const servers: ServerProcess[] = [];
  const hosts: string[] = [];
  for (let index = 0; index < count; index++) {
    const port = freePort();
    const own = ['--listen', `127.0.0.1:${port}`, '--log-level', 'error', ...flags()];
    const command: [string, ...string[]] = [process.execPath, main, 'serve', ...own];
    servers.push(await ServerProcess.start(port, path.join(directory, 'log'), { command, environment }));
    hosts.push(`127.0.0.1:${port}`);
  }
  return {
    hosts,
    pids: servers.map(({ pid }) => pid),
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server.kill()));
    },
  };
}

/** Distribution on the same S3 server. */
export async function distributionSetup(backends: Backends, program: string): Promise<Setup> {
  const { directory } = backends;
  const { server: s3, pids: writerPids } = await backends.minio();
  const bucket = await s3.newBucket();
  const port = freePort();
  const configFile = path.join(directory, 'distribution.yml');
  const { AWS_ACCESS_KEY_ID: accesskey, AWS_SECRET_ACCESS_KEY: secretkey } = s3.environment;
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: {
      s3: {
        accesskey,
        secretkey,
        region: 'us-east-1',
        regionendpoint: s3.endpoint,
        forcepathstyle: true,
        bucket: bucket.name,
        secure: false,
      },
      redirect: { disable: true },
      delete: { enabled: true },
      cache: { blobdescriptor: 'inmemory' },
    },
    http: { addr: `127.0.0.1:${port}` },
  };
  // JSON is YAML too.
  await Bun.write(configFile, JSON.stringify(config, null, 2));
  const child = Bun.spawn([program, 'serve', configFile], {
    env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: Bun.file(path.join(directory, 'distribution.log')),
  });
  for (;;) {
    if (child.exitCode !== null) throw new Error(readFileSync(path.join(directory, 'distribution.log'), 'utf8'));
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
    if (answer?.ok === true) break;
    await Bun.sleep(20);
  }
  return {
    kind: 'distribution',
    name: 'distribution 3.1 + MinIO',
    processes: 1,
    isAlone: false,
    hosts: [`127.0.0.1:${port}`],
    pids: [child.pid],
    writerPids,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}

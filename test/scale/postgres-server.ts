import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { debianPackages } from '../install/debian.ts';
import { outputOf } from '../install/command.ts';
import { temporary } from '../pairs/temporary.ts';
import { freePort } from '../server/free-port.ts';

/** Where Debian puts the programs of PostgreSQL 15. */
export const postgresPrograms = '/usr/lib/postgresql/15/bin';
/** PostgreSQL refuses to run as root. */
const otherUser = 'postgres';

/** No test cuts the power, so nothing waits for the disk. */
const options = [
  'listen_addresses=127.0.0.1',
  'max_connections=200',
  'max_prepared_transactions=10',
  'fsync=off',
  'full_page_writes=off',
  'log_min_messages=fatal',
].flatMap((option) => ['-c', option]);

/** A PostgreSQL on a loopback port, with a data directory of its own. */
export interface PostgresServer {
  /** Creates an empty database and returns its address. */
  newDatabase(name?: string): Promise<string>;
  /** Ends it at once, as a crash would. */
  halt(): Promise<void>;
  /** Starts it again. */
  goOn(): Promise<void>;
  /** Both. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Installs PostgreSQL 15 where it is missing, and starts a server.
 * @param parent the directory in which it makes its own, which every user can reach
 * @param settings more of postgresql.conf, as name=value
 */
export async function startPostgres(parent = temporary, settings: readonly string[] = []): Promise<PostgresServer> {
  await debianPackages(['postgresql-15']);
  const directory = mkdtempSync(join(parent, 'wherry-postgres-'));
  const data = join(directory, 'data');
  const isRoot = userInfo().uid === 0;
  const asUser = (command: readonly string[]): [string, ...string[]] =>
    isRoot ? ['runuser', '-u', otherUser, '--', ...command] : ['env', ...command];
  if (isRoot) {
    const [uid, gid] = (await outputOf(['sh', '-c', `id -u ${otherUser}; id -g ${otherUser}`]))
      .trim()
      .split('\n')
      .map(Number);
    chownSync(directory, uid ?? 0, gid ?? 0);
  }
  await outputOf(
    asUser([
      join(postgresPrograms, 'initdb'),
      '-D',
      data,
      '--auth=trust',
      '--username=wherry',
      '--encoding=UTF8',
      '--locale=C.UTF-8',
    ]),
  );
  const port = freePort();
  const more = settings.flatMap((setting) => ['-c', setting]);
  const start = async (): Promise<Bun.Subprocess> => {
    const server = Bun.spawn(
      asUser([
        join(postgresPrograms, 'postgres'),
        '-D',
        data,
        '-p',
        String(port),
        '-k',
        directory,
        ...options,
        ...more,
      ]),
      { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore', cwd: '/' },
    );
    await answering(port, server);
    return server;
  };
  let server = await start();
  const end = async (): Promise<void> => {
    await outputOf(asUser([join(postgresPrograms, 'pg_ctl'), '-D', data, '-m', 'immediate', '-w', 'stop']));
    await server.exited;
  };
  let databases = 0;
  return {
    async newDatabase(name = `registry_${++databases}`) {
      await asAdministrator(port, `create database ${name}`);
      return `postgres://wherry@127.0.0.1:${port}/${name}`;
    },
    halt: end,
    async goOn() {
      server = await start();
    },
    async restart() {
      await end();
      server = await start();
    },
    async stop() {
      await end();
      rmSync(directory, { recursive: true });
    },
  };
}

async function asAdministrator(port: number, statement: string): Promise<void> {
  const client = new Client({ connectionString: `postgres://wherry@127.0.0.1:${port}/postgres` });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function answering(port: number, server: Bun.Subprocess): Promise<void> {
  while (server.exitCode === null) {
    try {
      return await asAdministrator(port, 'select 1');
    } catch {
      await Bun.sleep(20);
    }
  }
  throw new Error(`PostgreSQL ended with ${server.exitCode}`);
}

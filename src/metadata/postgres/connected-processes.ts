import { Client } from 'pg';
import { schemaInName } from './application-name.ts';

/** How long the database may take to be reached, in ms. */
const connectTimeoutMs = 5_000;

interface Connection {
  readonly name: string;
  readonly address: string | null;
  readonly pid: number;
}

/** The connections that processes of a registry have to its database, in words. */
export async function connectedProcesses(url: string): Promise<readonly string[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: connectTimeoutMs });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<Connection>(
      `select application_name as name, host(client_addr) as address, pid from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and application_name like 'wherry%' order by pid`,
    );
    return rows
      .filter(({ name }) => schemaInName(name) !== undefined)
      .map(({ address, pid }) => `one from ${address ?? 'this machine'} (PostgreSQL's process ${pid})`);
  } finally {
    await client.end();
  }
}

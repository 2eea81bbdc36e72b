import { Client } from 'pg';
import { registryConnection, registryConnections } from './registry-connections.ts';

/** How long the database may take to be reached, in ms. */
const connectTimeoutMs = 5_000;

interface Row {
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
    const { rows } = await client.query<Row>(registryConnections);
    return rows
      .map(({ name, address, pid }) => registryConnection(name, address, pid))
      .flatMap(({ schema, words }) => (schema === undefined ? [] : [words]));
  } finally {
    await client.end();
  }
}

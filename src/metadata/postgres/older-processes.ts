import type { ClientBase } from 'pg';
import { registryConnection, registryConnections } from './registry-connections.ts';

interface Row {
  readonly name: string;
  readonly address: string | null;
  readonly pid: number;
}

/** Who is connected that knows no migration as new as a given one, in words: for each machine, how many connections. */
export async function processesBefore(client: ClientBase, migration: number): Promise<readonly string[]> {
  const { rows } = await client.query<Row>(registryConnections);
  const older = rows.filter(({ name, address, pid }) => {
    const { schema } = registryConnection(name, address, pid);
    return schema !== undefined && schema < migration;
  });
  return [...Map.groupBy(older, ({ address }) => address)].map(
    ([address, { length }]) =>
      `${length} ${length === 1 ? 'connection' : 'connections'} from ${address ?? 'this machine'}`,
  );
}

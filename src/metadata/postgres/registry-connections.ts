import { schemaInName } from './application-name.ts';

/** Finds the connections that may be of a registry's processes, but for the one that asks. */
export const registryConnections = `select application_name as name, host(client_addr) as address, pid from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and application_name like 'wherry%' order by pid`;

/** One of them, as PostgreSQL gives it. */
export interface RegistryConnection {
  /** The newest migration that its process knows, 0 where it does not say; undefined where it is no registry's. */
  readonly schema: number | undefined;
  readonly words: string;
}

/** What a row of them says. */
export function registryConnection(name: string, address: string | null, pid: number): RegistryConnection {
  const words = `one from ${address ?? 'this machine'} (PostgreSQL's process ${pid})`;
  return { schema: schemaInName(name), words };
}

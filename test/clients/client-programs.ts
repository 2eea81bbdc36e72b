import { debianPackages } from '../install/debian.ts';
import { goTool } from '../install/go-tools.ts';

/** The client programs of this suite that are built as Go modules. */
const goClients = ['crane', 'regctl', 'oras', 'helm', 'cosign'] as const;
/** And those that come from Debian, as packages of the same name. */
const debianClients = ['skopeo', 'buildah', 'podman'] as const;

export type ClientName = (typeof goClients)[number] | (typeof debianClients)[number];

/** Installs every client that is not there yet; throws where one cannot be had. */
export async function installClients(): Promise<void> {
  await debianPackages([...debianClients, 'tar']);
  for (const name of goClients) await goTool(name);
}

/** The path of an installed client's program. */
export async function clientProgram(name: ClientName): Promise<string> {
  const goClient = goClients.find((candidate) => candidate === name);
  if (goClient !== undefined) return goTool(goClient);
  const path = Bun.which(name);
  if (path === null) throw new Error(`${name} is not installed`);
  return path;
}

import { openSync } from 'node:fs';
import { join } from 'node:path';
import { debianPackages } from '../install/debian.ts';
import type { ClientHome } from './client-home.ts';

const readyWithinMs = 30_000;

/** Whether docker and containerd can run here: as root, and with what a container may lack. */
export const canRunDaemons = process.getuid?.() === 0;

/** containerd and docker's daemon, with all that they keep in a client's home and without a network of their own. */
export class ContainerDaemons implements AsyncDisposable {
  readonly #home: ClientHome;
  readonly #directory: string;
  readonly #processes: Bun.Subprocess[] = [];

  private constructor(home: ClientHome) {
    this.#home = home;
    this.#directory = home.makeDirectory('daemons');
  }

  /** Installs what is missing, and starts both. @throws where one does not come up */
  static async start(home: ClientHome): Promise<ContainerDaemons> {
    await debianPackages(['containerd', 'docker.io']);
    const daemons = new ContainerDaemons(home);
    const at = (name: string): string => join(daemons.#directory, name);
    const configuration = home.writeFile(
      'daemons/containerd.toml',
      [
        'version = 2',
        `root = "${at('containerd')}"`,
        `state = "${at('containerd-state')}"`,
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        '[grpc]',
        `address = "${daemons.#containerdSocket}"`,
        '',
      ].join('\n'),
    );
    daemons.#spawn('containerd', '--config', configuration);
    await daemons.#untilReady(async () => void (await daemons.ctr('version')));
    const dockerConfiguration = {
      'data-root': at('docker'),
      'exec-root': at('docker-state'),
      pidfile: at('docker.pid'),
      hosts: [daemons.#dockerHost],
      containerd: daemons.#containerdSocket,
      'storage-driver': 'vfs',
      bridge: 'none',
      iptables: false,
      ip6tables: false,
    };
    const dockerFile = home.writeFile('daemons/docker.json', JSON.stringify(dockerConfiguration));
    daemons.#spawn('dockerd', '--config-file', dockerFile);
    await daemons.#untilReady(async () => void (await daemons.docker('version')));
    return daemons;
  }

  /** containerd's own client, which resolves, pushes and fetches by containerd's library. */
  async ctr(...args: readonly string[]): Promise<string> {
    return (await this.#home.run(['ctr', '--address', this.#containerdSocket, ...args])).stdout;
  }

  async docker(...args: readonly string[]): Promise<string> {
    return (await this.#home.run(['docker', '--host', this.#dockerHost, ...args])).stdout;
  }

  get #containerdSocket(): string {
    return join(this.#directory, 'containerd.sock');
  }

  get #dockerHost(): string {
    return `unix://${join(this.#directory, 'docker.sock')}`;
  }

  #spawn(...command: readonly string[]): void {
    const log = openSync(join(this.#directory, `${command[0]}.log`), 'a');
    this.#processes.push(Bun.spawn([...command], { stdin: 'ignore', stdout: log, stderr: log }));
  }

  async #untilReady(ask: () => Promise<void>): Promise<void> {
    const startedAt = performance.now();
    for (;;) {
      try {
        await ask();
        return;
      } catch (error) {
        if (performance.now() - startedAt > readyWithinMs) throw error;
        await Bun.sleep(50);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#processes.toReversed()) {
      running.kill('SIGTERM');
      await running.exited;
    }
  }
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** No client may go further than this machine: whatever is not on the loopback interface is dialled through here. */
const nowhere = 'http://127.0.0.1:9';

/** The error of a client program that ended with another exit code than 0. */
export class ClientFailed extends Error {
  override readonly name = 'ClientFailed';

  constructor(argv: readonly string[], exitCode: number, output: { stdout: string; stderr: string }) {
    super(`${argv.join(' ')}\nended with ${exitCode}\n${output.stdout.slice(-1500)}\n${output.stderr.slice(-3000)}`);
  }
}

/** What a client program wrote. */
export interface ClientOutput {
  readonly stdout: string;
  readonly stdoutBytes: Uint8Array<ArrayBuffer>;
  readonly stderr: string;
}

/** How to run a client program. */
export interface RunOptions {
  readonly stdin?: Uint8Array<ArrayBuffer>;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Killed after this; 120 s unless told otherwise. */
  readonly timeoutMs?: number;
}

/** A home directory for client programs: everything they keep, they keep in here. */
export class ClientHome {
  readonly directory: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(directory: string) {
    this.directory = directory;
    const inside = (...parts: string[]): string => {
      const path = join(directory, ...parts);
      mkdirSync(path, { recursive: true });
      return path;
    };
    const containers = inside('.config', 'containers');
    writeFileSync(join(containers, 'policy.json'), JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
    writeFileSync(
      join(containers, 'registries.conf'),
      'unqualified-search-registries = []\n[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n',
    );
    writeFileSync(
      join(containers, 'storage.conf'),
      `[storage]\ndriver = "vfs"\ngraphroot = "${inside('storage')}"\nrunroot = "${inside('run-storage')}"\n`,
    );
    writeFileSync(
      join(containers, 'containers.conf'),
      [
        '[engine]',
        'cgroup_manager = "cgroupfs"',
        'events_logger = "none"',
        'lock_type = "file"',
        `static_dir = "${inside('libpod')}"`,
        `volume_path = "${inside('volumes')}"`,
        `tmp_dir = "${inside('run-libpod')}"`,
        `image_copy_tmp_dir = "${inside('tmp')}"`,
        '[network]',
        `network_config_dir = "${inside('networks')}"`,
        '',
      ].join('\n'),
    );
    this.#env = {
      PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
      LANG: 'C.UTF-8',
      HOME: directory,
      XDG_CONFIG_HOME: inside('.config'),
      XDG_CACHE_HOME: inside('.cache'),
      XDG_DATA_HOME: inside('.local', 'share'),
      XDG_STATE_HOME: inside('.local', 'state'),
      XDG_RUNTIME_DIR: inside('run'),
      TMPDIR: inside('tmp'),
      DOCKER_CONFIG: inside('.docker'),
      REGISTRY_AUTH_FILE: join(directory, 'auth.json'),
      CONTAINERS_CONF: join(containers, 'containers.conf'),
      CONTAINERS_STORAGE_CONF: join(containers, 'storage.conf'),
      CONTAINERS_REGISTRIES_CONF: join(containers, 'registries.conf'),
      REGCTL_CONFIG: join(directory, 'regctl.json'),
      HTTP_PROXY: nowhere,
      HTTPS_PROXY: nowhere,
      NO_PROXY: '127.0.0.1,localhost',
    };
    writeFileSync(this.#env['REGISTRY_AUTH_FILE'] ?? '', '{}');
  }

  /** Runs a client program; throws {@link ClientFailed} where it doesn't end with exit code 0. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<ClientOutput> {
    const child = Bun.spawn([...argv], {
      cwd: options.cwd ?? this.directory,
      env: { ...this.#env, ...options.env },
      stdin: options.stdin ?? 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: options.timeoutMs ?? 120_000,
      killSignal: 'SIGKILL',
    });
    const [stdoutBuffer, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).arrayBuffer(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    const stdoutBytes = new Uint8Array(stdoutBuffer);
    const stdout = new TextDecoder().decode(stdoutBytes);
    if (exitCode !== 0) throw new ClientFailed(argv, exitCode, { stdout, stderr });
    return { stdout, stdoutBytes, stderr };
  }

  /** Makes a directory inside the home and returns its path. */
  makeDirectory(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Writes a file inside the home and returns its path. */
  writeFile(name: string, content: string | Uint8Array): string {
    const path = join(this.directory, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, content);
    return path;
  }
}

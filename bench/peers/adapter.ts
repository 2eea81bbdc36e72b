/** Where one start of a registry may put things: everything it writes lies in these directories, which are then removed. */
export interface LaunchSite {
  /** Path of the registry's program. */
  readonly program: string;
  /** Loopback port it has to listen on. */
  readonly port: number;
  /** Empty directory for what it stores. */
  readonly dataDirectory: string;
  /** Empty directory for the configuration file, if it needs one. */
  readonly configDirectory: string;
}

/** How to start a registry: its command line, and the environment beyond PATH, HOME and TMPDIR. */
export interface Launch {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * What the bench knows of one registry.
 *
 * Every registry runs as its authors ship it, with two exceptions that are the same for all: it logs errors only, and
 * it allows deletes if that has to be switched on.
 */
export interface PeerAdapter {
  /** The name used in `--peer NAME=PATH` and in the table. */
  readonly name: string;
  /** The program's usual file name, looked for on PATH and in .cache/bin. */
  readonly program: string;
  /** Writes the configuration that the registry needs and says how to start it. */
  prepare(site: LaunchSite): Promise<Launch>;
}

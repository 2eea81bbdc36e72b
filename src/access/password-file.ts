import { readFile, stat } from 'node:fs/promises';
import type { Log } from '../log/log.ts';
import { parseHtpasswd, type PasswordHashes } from './htpasswd.ts';

/** Where a password file is read from. */
export interface PasswordSource {
  /** What tells one version of the file from the next. */
  version(): Promise<string>;
  text(): Promise<string>;
}

/** How often it is looked whether the file has changed, at most, in ms. */
const lookEveryMs = 1000;

/** A larger one is something else, in bytes. */
const largestFile = 64 * 1024 * 1024;

/** A file on the disk. */
export function fileSource(path: string): PasswordSource {
  return {
    async version() {
      const { mtimeMs, size, ino } = await stat(path);
      return `${ino} ${size} ${mtimeMs}`;
    },
    async text() {
      const { size } = await stat(path);
      if (size > largestFile) throw new Error(`it has ${size} bytes, and ${largestFile} are the most`);
      return await readFile(path, 'utf8');
    },
  };
}

export type OpenedPasswords =
  | { readonly ok: true; readonly passwords: PasswordFile }
  | { readonly ok: false; readonly problems: readonly string[] };

export interface PasswordFileParts {
  /** As it was given, for messages. */
  readonly path: string;
  readonly source?: PasswordSource;
  readonly log: Log;
  /** Of a clock that is never set, in ms. */
  readonly now?: () => number;
}

/** The users of a password file, read again when it changes. A version that makes no sense leaves things as they were. */
export class PasswordFile {
  readonly #path: string;
  readonly #source: PasswordSource;
  readonly #log: Log;
  readonly #now: () => number;
  #hashes: PasswordHashes;
  #version: string;
  #lookedAt: number;
  #looking: Promise<void> | undefined;
  /** Whether those who watch know of the users that there are. */
  #isTold = true;
  #told: ((hashes: PasswordHashes) => Promise<void>) | undefined;

  private constructor(
    { path, source, log, now }: Required<PasswordFileParts>,
    { hashes, version }: { readonly hashes: PasswordHashes; readonly version: string },
  ) {
    this.#path = path;
    this.#source = source;
    this.#log = log;
    this.#now = now;
    this.#hashes = hashes;
    this.#version = version;
    this.#lookedAt = now();
  }

  static async open(parts: PasswordFileParts): Promise<OpenedPasswords> {
    const all = { source: fileSource(parts.path), now: () => performance.now(), ...parts };
    try {
      const version = await all.source.version();
      const parsed = parseHtpasswd(await all.source.text(), parts.path);
      return parsed.ok
        ? { ok: true, passwords: new PasswordFile(all, { hashes: parsed.hashes, version }) }
        : { ok: false, problems: parsed.problems };
    } catch (error) {
      return { ok: false, problems: [`the password file ${parts.path} cannot be read: ${reasonOf(error)}`] };
    }
  }

  /** The users as they were read last. */
  get current(): PasswordHashes {
    return this.#hashes;
  }

  /** The users as the file has them now, but for a change in the last second. */
  async hashes(): Promise<PasswordHashes> {
    if (this.#looking === undefined && this.#now() - this.#lookedAt >= lookEveryMs) {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
      });
    }
    await this.#looking;
    return this.#hashes;
  }

  /**
   * Has somebody told of the users of each new version, once it has stayed for a second: while a file is written it may
   * lack some of them for a moment.
   */
  watch(told: (hashes: PasswordHashes) => Promise<void>): void {
    this.#told = told;
  }

  async #tell(): Promise<void> {
    if (this.#isTold) return;
    this.#isTold = true;
    await this.#told?.(this.#hashes);
  }

  async #look(): Promise<void> {
    this.#lookedAt = this.#now();
    try {
      const version = await this.#source.version();
      if (version === this.#version) {
        await this.#tell();
        return;
      }
      const parsed = parseHtpasswd(await this.#source.text(), this.#path);
      // Remembered also where it makes no sense, so that it is told once.
      this.#version = version;
      if (parsed.ok) {
        this.#hashes = parsed.hashes;
        this.#isTold = false;
        this.#log.info({ path: this.#path, users: parsed.hashes.size }, 'the password file was read again');
      } else {
        this.#log.error(
          { path: this.#path, problems: parsed.problems.slice(0, 10) },
          'the password file has changed and makes no sense: the users stay as they were, mend it',
        );
      }
    } catch (error) {
      const version = `unreadable: ${reasonOf(error)}`;
      if (version === this.#version) return;
      this.#version = version;
      this.#log.error(
        { path: this.#path, err: error },
        'the password file cannot be read: the users stay as they were',
      );
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

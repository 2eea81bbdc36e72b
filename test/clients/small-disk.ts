import { appendFileSync, closeSync, mkdtempSync, openSync, rmSync, rmdirSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const pageBytes = 4096;

/**
 * A file system in memory, as small as a test wants it. Only processes that enter its namespace see it, and it is gone
 * with the last of them. It takes root, or a system that lets its users have namespaces of their own.
 */
export class SmallDisk implements AsyncDisposable {
  /** Where the disk is for those who have entered. */
  readonly directory: string;
  readonly #keeper: Bun.Subprocess<'pipe', 'pipe', 'inherit'>;

  private constructor(directory: string, keeper: Bun.Subprocess<'pipe', 'pipe', 'inherit'>) {
    this.directory = directory;
    this.#keeper = keeper;
  }

  static async make(size: { readonly mebibytes: number; readonly files: number }): Promise<SmallDisk> {
    const directory = mkdtempSync(join(tmpdir(), 'wherry-disk-'));
    const options = `size=${size.mebibytes}m,nr_inodes=${size.files}`;
    // Ends with this process, because its input then does.
    const script = `mount -t tmpfs -o ${options} none "$0" && echo made && exec cat`;
    const keeper = Bun.spawn(['unshare', '--mount', ...(isRoot ? [] : asRoot), 'sh', '-c', script, directory], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
    });
    for await (const chunk of keeper.stdout) {
      if (Buffer.from(chunk).toString() === 'made\n') return new SmallDisk(directory, keeper);
    }
    rmdirSync(directory);
    throw new Error('no file system could be mounted: these tests need root, or user namespaces');
  }

  /** What a command begins with whose process is to see the disk. */
  get entering(): readonly [string, ...string[]] {
    const target = ['--target', String(this.#keeper.pid), '--mount'];
    return ['nsenter', ...target, ...(isRoot ? [] : ['--user', '--preserve-credentials'])];
  }

  /** A path on the disk, as this process can reach it. */
  path(name: string): string {
    return join(`/proc/${this.#keeper.pid}/root`, this.directory, name);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path('.'));
    return bavail * bsize;
  }

  /** Takes all the room that is left, as another program would. */
  fill(): void {
    const filler = openSync(this.path('filler'), 'a');
    const page = new Uint8Array(pageBytes).fill(1);
    try {
      while (this.freeBytes > 0) writeSync(filler, page);
    } finally {
      closeSync(filler);
    }
  }

  /** Takes all the files that can still be made. */
  fillWithFiles(): void {
    for (let count = 0; statfsSync(this.path('.')).ffree > 0; count++) appendFileSync(this.path(`filler-${count}`), '');
  }

  /** Gives the room back that `fill` has taken. */
  empty(): void {
    rmSync(this.path('filler'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#keeper.kill();
    await this.#keeper.exited;
    rmdirSync(this.directory);
  }
}

const isRoot = process.getuid?.() === 0;
const asRoot = ['--user', '--map-root-user'];

import { randomBytes } from 'node:crypto';
import { open, type FileHandle, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * A file that is there whole or not at all: it is written under another name beside it, and takes its own, and the place
 * of an older one, when it is complete and on the disk.
 */
export class ReplacedFile implements AsyncDisposable {
  readonly #path: string;
  readonly #partPath: string;
  #part: FileHandle | undefined;

  private constructor(path: string, partPath: string, part: FileHandle) {
    this.#path = path;
    this.#partPath = partPath;
    this.#part = part;
  }

  /** @throws where no file can be made there */
  static async begin(path: string): Promise<ReplacedFile> {
    const partPath = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.part`);
    return new ReplacedFile(path, partPath, await open(partPath, 'wx'));
  }

  async write(text: string): Promise<void> {
    // The rest of what the system takes only a part of is written too, which `write` would not do.
    await this.#part?.appendFile(text);
  }

  /** It is complete: resolves once it has its name and survives a power cut. */
  async finish(): Promise<void> {
    const part = this.#part;
    if (part === undefined) return;
    await part.sync();
    await part.close();
    this.#part = undefined;
    await rename(this.#partPath, this.#path);
    const directory = await open(dirname(this.#path));
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  /** What was not finished goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#part === undefined) return;
    await this.#part.close();
    this.#part = undefined;
    await rm(this.#partPath, { force: true });
  }
}

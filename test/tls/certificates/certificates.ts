import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Name = 'first' | 'second' | 'expired' | 'runner' | 'workload' | 'nobody' | 'intruder';

/** A certificate and its key, as PEM texts. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** The path of a certificate's or a key's file, as make.sh has made it. */
export function pathOf(file: `${Name | 'authority'}.crt` | `${Name | 'encrypted'}.key`): string {
  return join(import.meta.dir, file);
}

/** What everybody in these tests trusts, but for the intruder's authority. */
export const authority = await readFile(pathOf('authority.crt'), 'utf8');

export async function pairOf(name: Name): Promise<Pair> {
  return { cert: await readFile(pathOf(`${name}.crt`), 'utf8'), key: await readFile(pathOf(`${name}.key`), 'utf8') };
}

/** A certificate and its key in files that change. */
export class ChangingFiles implements AsyncDisposable {
  readonly certificate: string;
  readonly key: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.certificate = join(directory, 'tls.crt');
    this.key = join(directory, 'tls.key');
  }

  static async with(name: Name): Promise<ChangingFiles> {
    const files = new ChangingFiles(await mkdtemp(join(tmpdir(), 'wherry-tls-')));
    await files.become(name);
    return files;
  }

  async become(name: Name): Promise<void> {
    await copyFile(pathOf(`${name}.crt`), this.certificate);
    await copyFile(pathOf(`${name}.key`), this.key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true });
  }
}

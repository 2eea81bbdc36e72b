import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { BlobStore } from '../../src/blobs/store.ts';
import type { Config } from '../../src/config/schema.ts';
import type { SqliteParts } from '../../src/metadata/sqlite/store.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { configFrom } from '../server/config-from.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { forgetStoresBeside, openBlobs, openMetadata, type StoresBeside, storesBeside } from './stores-beside.ts';
import { temporary } from './temporary.ts';

/** Stores of a test without a server, on the pair under test: each of a data directory by its name, which goes with this. */
export class TestedStores implements AsyncDisposable {
  readonly #directory: TemporaryDirectory;
  readonly #names = new Set<string>();
  readonly #opened: MetadataStore[] = [];

  /** @param what is in them, for who finds a directory that was left */
  constructor(what: string) {
    this.#directory = new TemporaryDirectory(what, temporary);
  }

  /** Opens the metadata of a data directory; it is closed with all others. */
  async metadata(name = 'data', parts?: SqliteParts): Promise<MetadataStore> {
    const store = await openMetadata(this.pathOf(name), parts);
    this.#opened.push(store);
    return store;
  }

  async blobs(name = 'data'): Promise<BlobStore> {
    return await openBlobs(this.pathOf(name));
  }

  /** What a registry with a data directory is configured to. */
  async config(settings: Readonly<Record<string, string>> = {}, name = 'data'): Promise<Config> {
    return await configFrom({ data: this.pathOf(name), ...this.beside(name).settings, ...settings });
  }

  beside(name = 'data'): StoresBeside {
    return storesBeside(this.pathOf(name));
  }

  /** The path of a data directory, which is there then. */
  pathOf(name = 'data'): string {
    const path = join(this.#directory.path, name);
    mkdirSync(path, { recursive: true });
    this.#names.add(path);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const store of this.#opened) await store.close();
    for (const path of this.#names) forgetStoresBeside(path);
    this.#directory[Symbol.dispose]();
  }
}

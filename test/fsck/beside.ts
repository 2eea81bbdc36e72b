import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Bucket } from '../../src/blobs/s3/bucket.ts';
import { placesBeside } from '../pairs/checked-places.ts';

/** What a registry keeps of bytes, by names such as `objects/ab/notes.txt`, looked at and changed from beside it. */
export interface Beside {
  /** Where a person is told that something is. */
  readonly placeOf: (name: string) => string;
  readonly write: (name: string, bytes: string) => Promise<void>;
  readonly bytesOf: (name: string) => Promise<Uint8Array | undefined>;
  /** Undefined where the registry has a directory. */
  readonly bucket: Bucket | undefined;
  /** What all its keys begin with. */
  readonly prefix: string;
}

export async function beside(dataDirectory: string): Promise<Beside> {
  const { bucket: settings } = placesBeside(dataDirectory);
  if (settings === undefined) return inDirectory(dataDirectory);
  const { Bucket: Opened } = await import('../../src/blobs/s3/bucket.ts');
  const bucket = new Opened(settings);
  const { prefix } = settings;
  return {
    placeOf: (name) => `s3://${settings.bucket}/${prefix}${name}`,
    write: (name, bytes) => bucket.put(prefix + name, Buffer.from(bytes)),
    bytesOf: async (name) =>
      (await bucket.look(prefix + name)) === undefined ? undefined : (await bucket.readAll(prefix + name)).bytes,
    bucket,
    prefix,
  };
}

function inDirectory(directory: string): Beside {
  return {
    placeOf: (name) => join(directory, name),
    write: async (name, bytes) => {
      await mkdir(dirname(join(directory, name)), { recursive: true });
      await writeFile(join(directory, name), bytes);
    },
    bytesOf: async (name) => (existsSync(join(directory, name)) ? await readFile(join(directory, name)) : undefined),
    bucket: undefined,
    prefix: '',
  };
}

/** The name of an object's bytes. */
export function objectNameOf(oid: string): string {
  return `objects/${oid.slice(0, 2)}/${oid}`;
}

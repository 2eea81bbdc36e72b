import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientHome } from './client-home.ts';
import { parseManifest } from './image-content.ts';
import type { ImageLayout } from './image-layout.ts';

/** Path → what is there: a directory, a link and where it leads, or a file's mode and the hash of its bytes. */
export type FileTree = Readonly<Record<string, string>>;

/** Unpacks the gzip layers of a layout's image into a new directory, some of them where `layers` says which. */
export async function unpackLayers(home: ClientHome, layout: ImageLayout, layers?: readonly number[]): Promise<string> {
  const directory = home.makeDirectory(`tree-${crypto.randomUUID()}`);
  mkdirSync(directory, { recursive: true });
  const all = parseManifest(await layout.manifest(layout.root().digest)).layers ?? [];
  for (const [position, layer] of all.entries()) {
    if (layers !== undefined && !layers.includes(position)) continue;
    await home.run(['tar', '--extract', '--gzip', `--file=${layout.pathOf(layer.digest)}`, `--directory=${directory}`]);
  }
  return directory;
}

/** Everything below a directory. */
export function readTree(directory: string): FileTree {
  const tree: Record<string, string> = {};
  describe(directory, '', tree);
  return tree;
}

function describe(root: string, path: string, tree: Record<string, string>): void {
  for (const name of readdirSync(join(root, path))) {
    const child = join(path, name);
    const full = join(root, child);
    const found = lstatSync(full);
    if (found.isDirectory()) {
      tree[child] = 'directory';
      describe(root, child, tree);
    } else if (found.isSymbolicLink()) {
      tree[child] = `link to ${readlinkSync(full)}`;
    } else {
      tree[child] =
        `${(found.mode & 0o777).toString(8)} ${createHash('sha256').update(readFileSync(full)).digest('hex')}`;
    }
  }
}

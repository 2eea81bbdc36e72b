import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Descriptor, digestOf, ociIndex, ociManifest } from './image-content.ts';
import { ImageLayout } from './image-layout.ts';

/** Part of the directory's name: to be changed with anything below that changes the images. */
const recipe = 'images-2';
const cacheDirectory = join(import.meta.dir, '..', '..', '.cache', 'fixtures');
/** File trees that any machine has which can run this suite; those with larger files come first, to be quick to unpack. */
const treeRoots = ['usr/bin', 'usr/lib', 'usr/share', 'usr/local', 'opt', 'etc'];
const largestFileBytes = 40 << 20;
const largeSliceBytes = 90 << 20;
const smallSliceBytes = 20 << 20;
const epoch = '1970-01-01T00:00:00Z';

/** The tag by which clients find the root of each layout. */
export const fixtureTag = 'fixture';

/** The images that clients push: made of this machine's own files, each in an OCI layout of its own. */
export interface Fixtures {
  /** Four layers of tens of megabytes each, gzip. */
  readonly gzip: ImageLayout;
  /** The same four file trees, zstd. */
  readonly zstd: ImageLayout;
  /** An index of three platforms, of two layers each, one of which they share. */
  readonly platforms: ImageLayout;
  /** One layer of some megabytes, gzip. */
  readonly small: ImageLayout;
}

/** Makes the images, or takes them from where an earlier run has left them. */
export function imageFixtures(): Fixtures {
  const directory = join(cacheDirectory, recipe);
  if (!existsSync(directory)) {
    mkdirSync(cacheDirectory, { recursive: true });
    const unfinished = mkdtempSync(join(cacheDirectory, 'unfinished-'));
    try {
      makeFixtures(unfinished);
      renameSync(unfinished, directory);
    } catch (error) {
      rmSync(unfinished, { recursive: true });
      // Somebody else may have made them meanwhile.
      if (!existsSync(directory)) throw error;
    }
  }
  const layout = (name: keyof Fixtures): ImageLayout => new ImageLayout(join(directory, name));
  return { gzip: layout('gzip'), zstd: layout('zstd'), platforms: layout('platforms'), small: layout('small') };
}

function makeFixtures(directory: string): void {
  const slices = takeSlices([...Array<number>(4).fill(largeSliceBytes), ...Array<number>(5).fill(smallSliceBytes)]);
  const trees = slices.map(archive);
  const large = trees.slice(0, 4);
  const [shared, ...platformTrees] = trees.slice(4, 8);
  const small = trees.slice(8);
  if (shared === undefined) throw new Error('the trees of the multi-arch index are missing');

  const gzip = ImageLayout.create(join(directory, 'gzip'));
  gzip.setRoots({ [fixtureTag]: putImage(gzip, 'amd64', large, gzipLayer) });

  const zstd = ImageLayout.create(join(directory, 'zstd'));
  zstd.setRoots({ [fixtureTag]: putImage(zstd, 'amd64', large, zstdLayer) });

  const platforms = ImageLayout.create(join(directory, 'platforms'));
  const manifests = ['amd64', 'arm64', 'arm/v7'].map((platform, position) => {
    const own = platformTrees[position];
    if (own === undefined) throw new Error(`the tree of ${platform} is missing`);
    const [architecture = '', variant] = platform.split('/');
    const image = putImage(platforms, platform, [shared, own], gzipLayer);
    return Object.assign({}, image, { platform: { os: 'linux', architecture, variant } });
  });
  platforms.setRoots({ [fixtureTag]: platforms.putManifest({ mediaType: ociIndex, manifests }) });

  const smallLayout = ImageLayout.create(join(directory, 'small'));
  smallLayout.setRoots({ [fixtureTag]: putImage(smallLayout, 'amd64', small, gzipLayer) });
}

interface LayerFormat {
  readonly mediaType: string;
  compress(tar: Uint8Array): Uint8Array;
}

const gzipLayer: LayerFormat = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  compress: (tar) => gzipSync(tar, { level: 5 }),
};
const zstdLayer: LayerFormat = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd',
  compress: (tar) => zstdCompressSync(tar),
};

/** Stores an image of some layers, given as tar archives; `platform` is such as `amd64` or `arm/v7`. */
export function putImage(
  layout: ImageLayout,
  platform: string,
  tars: readonly Uint8Array[],
  format: LayerFormat,
): Descriptor {
  const [architecture, variant] = platform.split('/');
  const layers = tars.map((tar) => layout.put(format.mediaType, format.compress(tar)));
  const config = layout.put(
    'application/vnd.oci.image.config.v1+json',
    JSON.stringify({
      created: epoch,
      architecture,
      variant,
      os: 'linux',
      config: { Cmd: ['/bin/true'] },
      rootfs: { type: 'layers', diff_ids: tars.map((tar) => digestOf(tar)) },
      history: tars.map((_, position) => ({ created: epoch, created_by: `file tree ${position}` })),
    }),
  );
  return layout.putManifest({ mediaType: ociManifest, config, layers });
}

/** One after the other as many entries of the file trees as fill each slice. */
function takeSlices(sizesBytes: readonly number[]): string[][] {
  const entries = treeRoots.filter((root) => existsSync(`/${root}`)).flatMap((root) => Array.from(walk(root)));
  const availableBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  const wantedBytes = sizesBytes.reduce((sum, sizeBytes) => sum + sizeBytes, 0);
  // A slim machine gets smaller layers, in proportion.
  const scale = Math.min(1, (availableBytes * 0.95) / wantedBytes);
  let position = 0;
  return sizesBytes.map((sizeBytes) => {
    const slice: string[] = [];
    for (let taken = 0; taken < sizeBytes * scale; position += 1) {
      const entry = entries[position];
      if (entry === undefined) throw new Error(`this machine's file trees have only ${availableBytes} bytes`);
      slice.push(entry.path);
      taken += entry.sizeBytes;
    }
    return slice;
  });
}

interface Entry {
  readonly path: string;
  readonly sizeBytes: number;
}

function* walk(directory: string): Generator<Entry> {
  yield { path: directory, sizeBytes: 0 };
  for (const name of readdirSync(`/${directory}`).toSorted()) {
    const path = `${directory}/${name}`;
    const found = lstatSync(`/${path}`);
    if (found.isDirectory()) yield* walk(path);
    else if (found.isSymbolicLink()) yield { path, sizeBytes: 0 };
    else if (found.isFile() && found.size <= largestFileBytes) yield { path, sizeBytes: found.size };
  }
}

/** A tar archive that is the same whenever the files are. */
function archive(paths: readonly string[]): Uint8Array {
  const tar = Bun.spawnSync(
    [
      'tar',
      '--create',
      '--directory=/',
      '--no-recursion',
      '--hard-dereference',
      '--null',
      '--verbatim-files-from',
      '--files-from=-',
      '--format=gnu',
      '--mtime=@0',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
    ],
    { stdin: new TextEncoder().encode(paths.map((path) => `${path}\0`).join('')), stderr: 'pipe' },
  );
  if (tar.exitCode !== 0) throw new Error(`tar ended with ${tar.exitCode}: ${tar.stderr.toString()}`);
  return tar.stdout;
}

import { SeededRandom } from './seeded-random.ts';

export const imageType = 'application/vnd.oci.image.manifest.v1+json';
export const indexType = 'application/vnd.oci.image.index.v1+json';
const configType = 'application/vnd.oci.image.config.v1+json';
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';
const emptyType = 'application/vnd.oci.empty.v1+json';

const mebibyte = 1024 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

export interface StormBlob {
  readonly digest: string;
  readonly bytes: Bytes;
}

/** A manifest of any kind, and all that it needs. */
export interface StormManifest {
  readonly digest: string;
  readonly bytes: Bytes;
  readonly mediaType: string;
  readonly blobs: readonly StormBlob[];
  readonly children: readonly StormManifest[];
  /** Whether other processes push it too. Nobody deletes such a one by its digest: whose fault its absence were, nobody could tell. */
  readonly isShared: boolean;
}

/** Every digest that a manifest needs, its own among them. */
export function* digestsIn(manifest: StormManifest): Generator<string> {
  yield manifest.digest;
  for (const blob of manifest.blobs) yield blob.digest;
  for (const child of manifest.children) yield* digestsIn(child);
}

/**
 * All that a storm pushes, made from its seed: the same in each process, but for what a process has of its own. Images
 * share layers, indexes share images, and there is so little of it that everything is pushed over and over.
 */
export class Content {
  /** Blobs of every process, never deleted by a client. */
  readonly sharedBlobs: readonly StormBlob[];
  /** Blobs that only this process pushes, and deletes. */
  readonly ownBlobs: readonly StormBlob[];
  /** Images and indexes, shared ones and the process's own. */
  readonly manifests: readonly StormManifest[];
  readonly #empty = blobOf('{}');
  readonly #referrers = new Map<string, StormManifest>();

  constructor({
    seed,
    process,
    digests,
    largeBlobs = 0,
  }: {
    readonly seed: number;
    readonly process: number;
    readonly digests: number;
    readonly largeBlobs?: number;
  }) {
    const ownCount = Math.max(4, Math.floor(digests / 3));
    const shared = new SeededRandom(seed);
    const own = new SeededRandom(seed + 7919 * (process + 1));
    this.sharedBlobs = blobsOf(`${seed} shared`, Math.max(8, digests - ownCount), shared);
    this.ownBlobs = [
      ...blobsOf(`${seed} own ${process}`, ownCount, own),
      ...largeBlobsOf(`${seed} large ${process}`, largeBlobs, own),
    ];
    const count = Math.max(6, Math.floor(digests / 4));
    const sharedManifests = manifestsOf(`${seed} shared`, count, shared, [this.sharedBlobs], []);
    const ownManifests = manifestsOf(
      `${seed} own ${process}`,
      count,
      own,
      [this.sharedBlobs, this.ownBlobs],
      sharedManifests,
    );
    this.manifests = [...sharedManifests, ...ownManifests];
  }

  /** One of a few artifacts that refer to a manifest, always the same for the same number. */
  referrerOf(subject: StormManifest, number: number): StormManifest {
    const key = `${subject.digest} ${number}`;
    const known = this.#referrers.get(key);
    if (known !== undefined) return known;
    const layer = this.sharedBlobs[number % this.sharedBlobs.length] ?? this.#empty;
    const referrer = manifestOf(
      imageType,
      {
        artifactType: 'application/vnd.wherry.storm',
        config: descriptorOf(emptyType, this.#empty),
        layers: [descriptorOf(layerType, layer)],
        subject: descriptorOf(subject.mediaType, subject),
        annotations: { number: String(number) },
      },
      { blobs: [this.#empty, layer], children: [], isShared: subject.isShared },
    );
    this.#referrers.set(key, referrer);
    return referrer;
  }
}

function manifestsOf(
  label: string,
  count: number,
  random: SeededRandom,
  pools: readonly (readonly StormBlob[])[],
  others: readonly StormManifest[],
): readonly StormManifest[] {
  const images: StormManifest[] = [];
  const indexes: StormManifest[] = [];
  const isShared = pools.length === 1;
  while (images.length + indexes.length < count) {
    const candidates = [...images, ...others.filter((other) => other.mediaType === imageType)];
    if (images.length >= 3 && random.chance(0.25))
      indexes.push(indexOf(label, someOf(candidates, random, 1, 3), isShared));
    else
      images.push(
        imageOf(
          pools.flatMap((pool) => someOf(pool, random, 1, 3)),
          isShared,
        ),
      );
  }
  return [...images, ...indexes];
}

function imageOf(blobs: readonly StormBlob[], isShared: boolean): StormManifest {
  const [config, ...layers] = blobs;
  if (config === undefined) throw new Error('an image needs a config');
  return manifestOf(
    imageType,
    {
      config: descriptorOf(configType, config),
      layers: (layers.length === 0 ? [config] : layers).map((layer) => descriptorOf(layerType, layer)),
    },
    { blobs, children: [], isShared },
  );
}

/** The label makes it another one than an index of the same images that another process has. */
function indexOf(label: string, children: readonly StormManifest[], isShared: boolean): StormManifest {
  const platforms = ['amd64', 'arm64', 'riscv64'];
  const manifests = children.map((child, position) => ({
    ...descriptorOf(child.mediaType, child),
    platform: { os: 'linux', architecture: platforms[position] ?? 's390x' },
  }));
  return manifestOf(indexType, { manifests, annotations: { storm: label } }, { blobs: [], children, isShared });
}

function manifestOf(
  mediaType: string,
  content: Readonly<Record<string, unknown>>,
  needs: Pick<StormManifest, 'blobs' | 'children' | 'isShared'>,
): StormManifest {
  return { ...blobOf(JSON.stringify({ schemaVersion: 2, mediaType, ...content })), mediaType, ...needs };
}

/** Between `least` and `most` of the items, none twice. */
function someOf<Item>(items: readonly Item[], random: SeededRandom, least: number, most: number): readonly Item[] {
  const chosen = new Set<Item>();
  for (let tries = random.between(least, most); tries > 0; tries -= 1) {
    const item = random.pick(items);
    if (item !== undefined) chosen.add(item);
  }
  return [...chosen];
}

/** Small ones, and now and then one that is worth sending in chunks. Each is a JSON text, so that it can be a config. */
function blobsOf(label: string, count: number, random: SeededRandom): readonly StormBlob[] {
  return Array.from({ length: count }, (_unused, position) => {
    const sizeBytes = random.chance(0.1) ? random.between(20_000, 200_000) : random.between(100, 4000);
    return filledBlob(`${label} ${position}`, position, sizeBytes);
  });
}

/** Such as a bucket takes in several parts. */
function largeBlobsOf(label: string, count: number, random: SeededRandom): readonly StormBlob[] {
  return Array.from({ length: count }, (_unused, position) =>
    filledBlob(`${label} ${position}`, position, random.between(6 * mebibyte, 12 * mebibyte)),
  );
}

function filledBlob(name: string, filling: number, sizeBytes: number): StormBlob {
  const text = `{"architecture":"amd64","os":"linux","storm":"${name}","filling":"`;
  return blobOf(text.padEnd(sizeBytes - 2, `${filling} `) + '"}');
}

function blobOf(text: string): StormBlob {
  const bytes = new TextEncoder().encode(text);
  return { digest: digestOf(bytes), bytes };
}

function descriptorOf(mediaType: string, { digest, bytes }: StormBlob) {
  return { mediaType, digest, size: bytes.length };
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}`;
}

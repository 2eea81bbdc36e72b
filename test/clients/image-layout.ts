import { createReadStream, copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ContentSource, type Descriptor, digestOf, ociIndex, parseManifest } from './image-content.ts';

const refName = 'org.opencontainers.image.ref.name';

/** An OCI image layout directory: what this suite makes its images in, and what clients write theirs into. */
export class ImageLayout implements ContentSource {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes an empty layout. */
  static create(directory: string): ImageLayout {
    mkdirSync(join(directory, 'blobs', 'sha256'), { recursive: true });
    writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    return new ImageLayout(directory);
  }

  async manifest(digest: string): Promise<Uint8Array<ArrayBuffer>> {
    return Bun.file(this.pathOf(digest)).bytes();
  }

  async blob(digest: string): Promise<AsyncIterable<Uint8Array>> {
    return createReadStream(this.pathOf(digest), { highWaterMark: 1 << 20 });
  }

  pathOf(digest: string): string {
    return join(this.directory, 'blobs', digest.replace(':', '/'));
  }

  /** Stores a blob and returns its descriptor. */
  put(mediaType: string, bytes: Uint8Array | string): Descriptor {
    const content = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
    const digest = digestOf(content);
    writeFileSync(this.pathOf(digest), content);
    return { mediaType, digest, size: content.byteLength };
  }

  /** Stores a manifest, whose media type it repeats inside, as clients do. */
  putManifest(manifest: { readonly mediaType: string } & Readonly<Record<string, unknown>>): Descriptor {
    return this.put(manifest.mediaType, JSON.stringify({ schemaVersion: 2, ...manifest }));
  }

  /** Takes a blob over from another layout, without copying its bytes where both lie on one file system. */
  adopt(other: ImageLayout, blob: Descriptor): void {
    const [source, target] = [other.pathOf(blob.digest), this.pathOf(blob.digest)];
    if (existsSync(target)) return;
    try {
      linkSync(source, target);
    } catch {
      copyFileSync(source, target);
    }
  }

  /** Writes the layout's index: which roots it has, and the tags by which clients find them. */
  setRoots(roots: Readonly<Record<string, Descriptor>>): void {
    const manifests = Object.entries(roots).map(([tag, root]) =>
      Object.assign({}, root, { annotations: { [refName]: tag } }),
    );
    const index = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests });
    writeFileSync(join(this.directory, 'index.json'), index);
  }

  /** The layout's roots, in the order in which they stand there. */
  roots(): readonly Descriptor[] {
    return parseManifest(readFileSync(join(this.directory, 'index.json'))).manifests ?? [];
  }

  /** The root of a tag, or the only root where no tag is given. */
  root(tag?: string): Descriptor {
    const found = this.roots().filter((root) => tag === undefined || root.annotations?.[refName] === tag);
    const [root] = found;
    if (root === undefined || found.length > 1) {
      throw new Error(`${this.directory} has ${found.length} roots ${tag === undefined ? '' : `named ${tag}`}`);
    }
    return root;
  }
}

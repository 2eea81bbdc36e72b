import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { _Object as ListedObject, MultipartUpload, S3Client } from '@aws-sdk/client-s3';
import type { TestedBucket } from './pair.ts';

/** The bytes of a registry's blobs, by object id, looked at and changed from beside it. */
export interface Objects {
  /** The names of all objects, of parts of some, and of uploads that are under way: whatever takes room. */
  names(): Promise<string[]>;
  /** What all of it takes. */
  totalBytes(): Promise<number>;
  has(oid: string): Promise<boolean>;
  /** @throws where there is no such object */
  sizeBytes(oid: string): Promise<number>;
  bytes(oid: string): Promise<Uint8Array>;
  /** Puts other bytes in an object's place, or makes one that nobody knows. */
  write(oid: string, bytes: Uint8Array | string): Promise<void>;
  /** Takes away what is behind an object's first bytes. */
  cut(oid: string, sizeBytes: number): Promise<void>;
  /** Takes an object away, or what there is of one that is being uploaded. */
  remove(oid: string): Promise<void>;
  /** The names of those that a check has put aside. */
  quarantined(): Promise<string[]>;
  /** The number that the bytes are kept with; undefined where there is none. */
  generation(): Promise<number | undefined>;
  setGeneration(generation: number): Promise<void>;
  /** Leaves something empty beside them, by its path, as somebody else might. */
  leave(path: string): Promise<void>;
}

/** Objects as files in a data directory. */
export class DirectoryObjects implements Objects {
  readonly #root: string;
  readonly #quarantine: string;
  readonly #generation: string;

  constructor(directory: string) {
    this.#root = join(directory, 'objects');
    this.#quarantine = join(directory, 'quarantine');
    this.#generation = join(directory, 'generation');
  }

  async names(): Promise<string[]> {
    if (!existsSync(this.#root)) return [];
    const entries = readdirSync(this.#root, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  }

  async totalBytes(): Promise<number> {
    const sizes = await Promise.all((await this.names()).map((name) => this.sizeBytes(name)));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async has(oid: string): Promise<boolean> {
    return existsSync(this.#path(oid));
  }

  async sizeBytes(oid: string): Promise<number> {
    return (await stat(this.#path(oid))).size;
  }

  async bytes(oid: string): Promise<Uint8Array> {
    return await readFile(this.#path(oid));
  }

  async write(oid: string, bytes: Uint8Array | string): Promise<void> {
    await mkdir(dirname(this.#path(oid)), { recursive: true });
    await writeFile(this.#path(oid), bytes);
  }

  async cut(oid: string, sizeBytes: number): Promise<void> {
    await truncate(this.#path(oid), sizeBytes);
  }

  async remove(oid: string): Promise<void> {
    await unlink(this.#path(oid));
  }

  async quarantined(): Promise<string[]> {
    return existsSync(this.#quarantine) ? readdirSync(this.#quarantine) : [];
  }

  async generation(): Promise<number | undefined> {
    if (!existsSync(this.#generation)) return undefined;
    return Math.max(...(await readFile(this.#generation, 'utf8')).trim().split('\n').map(Number));
  }

  async setGeneration(generation: number): Promise<void> {
    await writeFile(this.#generation, `${String(generation).padStart(16, '0')}\n`);
  }

  async leave(path: string): Promise<void> {
    await writeFile(join(dirname(this.#root), path), '');
  }

  #path(oid: string): string {
    return join(this.#root, oid.slice(0, 2), oid);
  }
}

/** Objects under a prefix of a bucket. */
export class BucketObjects implements Objects {
  readonly #endpoint: string;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor({ endpoint, bucket }: TestedBucket, prefix: string) {
    this.#endpoint = endpoint;
    this.#bucket = bucket;
    this.#prefix = prefix;
  }

  async names(): Promise<string[]> {
    const all = `${this.#prefix}objects/`;
    const uploads = (await this.#uploads(all)).map(({ Key = '' }) => Key);
    return [...(await this.#keys(all)), ...uploads].map((key) => basename(key));
  }

  async totalBytes(): Promise<number> {
    const { ListPartsCommand } = await import('@aws-sdk/client-s3');
    const client = await clientFor(this.#endpoint);
    const all = `${this.#prefix}objects/`;
    let sum = 0;
    for (const { Size = 0 } of await this.#listed(all)) sum += Size;
    for (const { Key, UploadId } of await this.#uploads(all)) {
      const { Parts = [] } = await client.send(new ListPartsCommand({ Bucket: this.#bucket, Key, UploadId }));
      for (const { Size = 0 } of Parts) sum += Size;
    }
    return sum;
  }

  async has(oid: string): Promise<boolean> {
    return (await this.names()).includes(oid);
  }

  async sizeBytes(oid: string): Promise<number> {
    const { HeadObjectCommand } = await import('@aws-sdk/client-s3');
    const found = await (await clientFor(this.#endpoint)).send(new HeadObjectCommand(this.#at(oid)));
    return found.ContentLength ?? 0;
  }

  async bytes(oid: string): Promise<Uint8Array> {
    const { GetObjectCommand } = await import('@aws-sdk/client-s3');
    const { Body } = await (await clientFor(this.#endpoint)).send(new GetObjectCommand(this.#at(oid)));
    return (await Body?.transformToByteArray()) ?? new Uint8Array();
  }

  async write(oid: string, bytes: Uint8Array | string): Promise<void> {
    await this.#put(this.#at(oid), bytes);
  }

  async cut(oid: string, sizeBytes: number): Promise<void> {
    await this.write(oid, (await this.bytes(oid)).slice(0, sizeBytes));
  }

  async remove(oid: string): Promise<void> {
    const { AbortMultipartUploadCommand, DeleteObjectCommand } = await import('@aws-sdk/client-s3');
    const client = await clientFor(this.#endpoint);
    const { Bucket, Key: its } = this.#at(oid);
    for (const Key of await this.#keys(its)) await client.send(new DeleteObjectCommand({ Bucket, Key }));
    for (const { Key, UploadId } of await this.#uploads(its)) {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
  }

  async quarantined(): Promise<string[]> {
    return (await this.#keys(`${this.#prefix}quarantine/`)).map((key) => basename(key));
  }

  async generation(): Promise<number | undefined> {
    const { GetObjectCommand } = await import('@aws-sdk/client-s3');
    try {
      const { Body } = await (await clientFor(this.#endpoint)).send(new GetObjectCommand(this.#generationPlace));
      return Number(await Body?.transformToString());
    } catch (error) {
      if (error instanceof Error && error.name === 'NoSuchKey') return undefined;
      throw error;
    }
  }

  async setGeneration(generation: number): Promise<void> {
    await this.#put(this.#generationPlace, `${generation}\n`);
  }

  async leave(path: string): Promise<void> {
    await this.#put({ Bucket: this.#bucket, Key: this.#prefix + path }, '');
  }

  get #generationPlace() {
    return { Bucket: this.#bucket, Key: `${this.#prefix}generation` };
  }

  async #put(place: { readonly Bucket: string; readonly Key: string }, bytes: Uint8Array | string): Promise<void> {
    const { PutObjectCommand } = await import('@aws-sdk/client-s3');
    await (await clientFor(this.#endpoint)).send(new PutObjectCommand({ ...place, Body: bytes }));
  }

  #at(oid: string) {
    return { Bucket: this.#bucket, Key: `${this.#prefix}objects/${oid.slice(0, 2)}/${oid}` };
  }

  async #keys(prefix: string): Promise<readonly string[]> {
    return (await this.#listed(prefix)).map(({ Key = '' }) => Key);
  }

  async #listed(prefix: string): Promise<readonly ListedObject[]> {
    const { paginateListObjectsV2 } = await import('@aws-sdk/client-s3');
    const client = await clientFor(this.#endpoint);
    const pages = await Array.fromAsync(paginateListObjectsV2({ client }, { Bucket: this.#bucket, Prefix: prefix }));
    return pages.flatMap(({ Contents = [] }) => Contents);
  }

  /** Some servers list those of the whole bucket only. */
  async #uploads(prefix: string): Promise<readonly MultipartUpload[]> {
    const { ListMultipartUploadsCommand } = await import('@aws-sdk/client-s3');
    const client = await clientFor(this.#endpoint);
    const uploads: MultipartUpload[] = [];
    let marker: { readonly KeyMarker?: string | undefined; readonly UploadIdMarker?: string | undefined } = {};
    for (;;) {
      const page = await client.send(new ListMultipartUploadsCommand({ Bucket: this.#bucket, ...marker }));
      uploads.push(...(page.Uploads ?? []));
      if (page.IsTruncated !== true) break;
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
    return uploads.filter(({ Key }) => Key?.startsWith(prefix) === true);
  }
}

const clients = new Map<string, Promise<S3Client>>();

/** Loaded by those runs only that need it. */
async function clientFor(endpoint: string): Promise<S3Client> {
  const known = clients.get(endpoint);
  if (known !== undefined) return await known;
  const made = import('@aws-sdk/client-s3').then(
    ({ S3Client: Client }) => new Client({ endpoint, region: 'us-east-1', forcePathStyle: true }),
  );
  clients.set(endpoint, made);
  return await made;
}

import { readBack, type Acknowledged } from './acknowledgements.ts';
import type { CrashRun } from './crash-run.ts';
import { type Descriptor, digestOf, ociIndex, ociManifest } from './image-content.ts';
import { noise } from './noise.ts';
import { RegistryRepository, UnexpectedAnswer } from './registry-repository.ts';
import type { SeededRandom } from './seeded-random.ts';

const octets = { 'content-type': 'application/octet-stream' };

/**
 * A client of our own that does little besides pushing, so that there are many acknowledged images: each with layers
 * that no other has, pushed in one of the ways that the specification knows. It goes on with an upload that a kill has
 * interrupted, moves a tag, deletes some, and pulls back what others have pushed.
 */
export class LightPusher {
  readonly #run: CrashRun;
  readonly #random: SeededRandom;
  readonly #name: string;

  constructor(run: CrashRun, random: SeededRandom, name: string) {
    this.#run = run;
    this.#random = random;
    this.#name = name;
  }

  /** Pushes image after image until the time is over. */
  async work(): Promise<void> {
    for (let count = 0; !this.#run.isOver; count += 1) {
      const repository = `crash/${this.#name}/${count % 7}`;
      const kind = this.#random.next();
      if (kind < 0.1) await this.#pushDoomed(repository, `doomed-${count}`);
      else if (kind < 0.2) await this.#pushIndex(repository, `image-${count}`);
      else await this.#pushTagged(repository, `image-${count}`);
      if (this.#random.chance(0.3)) await this.#pullSomething();
    }
  }

  async #pushTagged(repository: string, tag: string): Promise<void> {
    const image = await this.#pushContent(repository);
    if (image === undefined) return;
    if ((await this.#putManifest(repository, tag, image)) === undefined) return;
    this.#run.acknowledgements.pushed({ client: this.#name, repository, tag, digest: image.descriptor.digest });
    await this.#moveLatest(repository, image);
  }

  async #moveLatest(repository: string, image: Content): Promise<void> {
    const { digest } = image.descriptor;
    this.#run.acknowledgements.moving(repository, 'latest', digest);
    const moved = await this.#putManifest(repository, 'latest', image);
    if (moved !== undefined) this.#run.acknowledgements.moved(repository, 'latest', digest);
  }

  async #pushIndex(repository: string, tag: string): Promise<void> {
    const children: Descriptor[] = [];
    for (const architecture of ['amd64', 'arm64']) {
      const child = await this.#pushContent(repository);
      if (child === undefined) return;
      const { digest } = child.descriptor;
      if ((await this.#putManifest(repository, digest, child)) === undefined) return;
      this.#run.acknowledgements.pushed({ client: this.#name, repository, tag: undefined, digest });
      children.push({ ...child.descriptor, platform: { os: 'linux', architecture } });
    }
    const index = contentOf(ociIndex, { manifests: children });
    if ((await this.#putManifest(repository, tag, index)) === undefined) return;
    this.#run.acknowledgements.pushed({ client: this.#name, repository, tag, digest: index.descriptor.digest });
  }

  /** An image whose tag is deleted as soon as it is there. */
  async #pushDoomed(repository: string, tag: string): Promise<void> {
    const image = await this.#pushContent(repository);
    if (image === undefined) return;
    if ((await this.#putManifest(repository, tag, image)) === undefined) return;
    const isDeleted = await this.#run.persist(this.#name, async () => {
      const status = await this.#send(repository, `manifests/${tag}`, { method: 'DELETE' }, [202, 404]);
      return status;
    });
    if (isDeleted === undefined) return;
    const { digest } = image.descriptor;
    this.#run.acknowledgements.tagDeleted({ client: this.#name, repository, tag, digest });
  }

  async #pullSomething(): Promise<void> {
    const image: Acknowledged | undefined = this.#random.pick(this.#run.acknowledgements.images);
    if (image === undefined) return;
    const read = await this.#run.persist(this.#name, async () => readBack(`http://${this.#run.host}`, image));
    if (read !== undefined) this.#run.pulls += 1;
  }

  /** Pushes the config and layers of a new image; undefined where the time was over first. */
  async #pushContent(repository: string): Promise<Content | undefined> {
    const layers: Descriptor[] = [];
    for (let layer = this.#random.between(1, 3); layer > 0; layer -= 1) {
      const sizeBytes = this.#random.chance(0.03)
        ? this.#random.between(4 << 20, 16 << 20)
        : this.#random.between(2, 1 << 19);
      const bytes = noise(sizeBytes);
      if (!(await this.#pushBlob(repository, bytes))) return undefined;
      layers.push({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(bytes), size: sizeBytes });
    }
    const config = new TextEncoder().encode(
      JSON.stringify({ architecture: 'amd64', os: 'linux', by: crypto.randomUUID() }),
    );
    if (!(await this.#pushBlob(repository, config))) return undefined;
    const descriptor = {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: digestOf(config),
      size: config.length,
    };
    return contentOf(ociManifest, { config: descriptor, layers });
  }

  async #putManifest(repository: string, reference: string, content: Content): Promise<number | undefined> {
    return this.#run.persist(this.#name, async () => {
      const headers = { 'content-type': content.descriptor.mediaType };
      const init = { method: 'PUT', headers, body: content.bytes };
      return this.#send(repository, `manifests/${reference}`, init, [201]);
    });
  }

  async #pushBlob(repository: string, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    if (this.#random.chance(0.3)) {
      const path = `blobs/uploads/?digest=${digestOf(bytes)}`;
      const pushed = await this.#run.persist(this.#name, async () =>
        this.#send(repository, path, { method: 'POST', headers: octets, body: bytes }, [201]),
      );
      return pushed !== undefined;
    }
    const session = new Session(new RegistryRepository(`http://${this.#run.host}`, repository), bytes);
    const chunkBytes = this.#random.chance(0.5) ? bytes.length : this.#random.between(1 << 16, 1 << 18);
    const pushed = await this.#run.persist(this.#name, async () => {
      const begun = await session.begin();
      if (begun === 'resumed') this.#run.resumedUploads += 1;
      if (begun === 'lost') this.#run.lostUploads += 1;
      if (begun !== 'complete') await session.finish(chunkBytes);
      return true;
    });
    return pushed !== undefined;
  }

  async #send(repository: string, path: string, init: RequestInit, hopedFor: readonly number[]): Promise<number> {
    const target = new RegistryRepository(`http://${this.#run.host}`, repository);
    const answer = await expectStatus(path, await target.fetch(path, init), hopedFor);
    return answer.status;
  }
}

interface Content {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

function contentOf(mediaType: string, manifest: Readonly<Record<string, unknown>>): Content {
  const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, ...manifest }));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

/** An upload session that survives the registry's process: it asks where it stands and goes on from there. */
class Session {
  readonly #repository: RegistryRepository;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #path: string | undefined;
  #offset = 0;

  constructor(repository: RegistryRepository, bytes: Uint8Array<ArrayBuffer>) {
    this.#repository = repository;
    this.#bytes = bytes;
  }

  /** Opens the session, or finds out where it stands after something has failed. */
  async begin(): Promise<'new' | 'resumed' | 'lost' | 'complete'> {
    if (this.#path === undefined) {
      await this.#open();
      return 'new';
    }
    const status = await this.#repository.fetch(this.#path);
    if (status.status === 204) {
      const last = Number(/^0-(\d+)$/.exec(status.headers.get('range') ?? '')?.[1]);
      // An empty session is shown as 0-0, like one of a single byte: that byte is then sent again, and refused.
      this.#offset = last === 0 ? 0 : last + 1;
      this.#follow(status);
      return 'resumed';
    }
    await expectStatus(this.#path, status, [404]);
    // The closing PUT may have been done, and only its answer lost.
    if ((await this.#repository.status(`blobs/${digestOf(this.#bytes)}`)) === 200) return 'complete';
    await this.#open();
    return 'lost';
  }

  /** Sends what is missing, in chunks, and closes the session; the last chunk goes along with the closing PUT. */
  async finish(chunkBytes: number): Promise<void> {
    while (this.#bytes.length - this.#offset > chunkBytes) {
      const chunk = this.#bytes.slice(this.#offset, this.#offset + chunkBytes);
      const answer = await this.#send('PATCH', this.#path ?? '', chunk, 202);
      this.#offset += chunk.length;
      this.#follow(answer);
    }
    const path = this.#path ?? '';
    const digest = `${path.includes('?') ? '&' : '?'}digest=${digestOf(this.#bytes)}`;
    await this.#send('PUT', path + digest, this.#bytes.slice(this.#offset), 201);
  }

  async #open(): Promise<void> {
    this.#path = undefined;
    this.#offset = 0;
    const answer = await this.#repository.fetch('blobs/uploads/', { method: 'POST' });
    await expectStatus('blobs/uploads/', answer, [202]);
    this.#follow(answer);
  }

  async #send(method: string, path: string, chunk: Uint8Array<ArrayBuffer>, hopedFor: number): Promise<Response> {
    const range = `${this.#offset}-${this.#offset + chunk.length - 1}`;
    const headers = chunk.length === 0 ? octets : { ...octets, 'content-range': range };
    return expectStatus(path, await this.#repository.fetch(path, { method, headers, body: chunk }), [hopedFor]);
  }

  #follow(answer: Response): void {
    this.#path = answer.headers.get('location') ?? undefined;
  }
}

async function expectStatus(path: string, answer: Response, hopedFor: readonly number[]): Promise<Response> {
  const body = await answer.text();
  if (!hopedFor.includes(answer.status)) throw new UnexpectedAnswer(path, answer.status, body);
  return answer;
}

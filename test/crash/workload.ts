import { digestOf, freshBytes, imageOf, indexOf, ociIndex, ociManifest } from '../http/content.ts';
import { testedBucket } from '../pairs/pair.ts';
import { RawRequest } from '../server/raw-request.ts';
import { until } from '../server/until.ts';
import type { CrashingRegistry } from './crashing-registry.ts';

/** The registry has refused a step, as it may where its calls fail. */
class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

interface Step {
  readonly name: string;
  readonly run: () => Promise<unknown>;
}

const mebibyte = 1024 * 1024;
/** More than a part of an object has at least, which a bucket is given as soon as it is there. */
const largeBytes = 5 * mebibyte + 1000;
/** More than the registry keeps in memory of what it writes to a disk, or to a bucket in parts of 5 MiB. */
const stalledBytes = (testedBucket === undefined ? 2 : 11) * mebibyte;

/** What a client wants to push with a session that it has not closed. */
interface Unfinished {
  readonly repo: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** So many of them were acknowledged. */
  readonly sentBytes: number;
}

/**
 * A day in the life of a registry, step by step: each kind of push, overwriting, deleting, giving up, and collecting.
 * What the registry has acknowledged, and nobody has since asked it to delete, is in `images` and `blobs`.
 */
export class Workload {
  /** The digest that `repo:tag` or `repo@digest` must lead to. */
  readonly images = new Map<string, string>();
  /** What is no longer promised, since policies may have pruned it: `repo:tag`. */
  readonly prunable = new Map<string, string>();
  /** Pushed, and within their lease: `repo@digest`. */
  readonly blobs = new Set<string>();
  /** The sessions that clients may go on with, by their paths. */
  readonly unfinished = new Map<string, Unfinished>();
  readonly #registry: CrashingRegistry;
  /** Whether a refusal is an answer to expect. */
  readonly #mayRefuse: boolean;
  readonly #config = freshBytes();
  readonly #base = freshBytes(3000);
  readonly #layer = freshBytes(2000);

  constructor(registry: CrashingRegistry, mayRefuse: boolean) {
    this.#registry = registry;
    this.#mayRefuse = mayRefuse;
  }

  /** Runs all steps in order, or until the registry has ended. @param onStep is told before each, and of the end */
  async run(onStep: (name: string) => void = () => undefined): Promise<void> {
    for (const { name, run } of this.#steps()) {
      onStep(name);
      try {
        await run();
      } catch (error) {
        if (await this.#registry.hasEnded()) return;
        if (!(error instanceof RefusedError)) throw new Error(`${name}: ${String(error)}`, { cause: error });
      }
    }
    onStep('end');
  }

  /** Goes on with the sessions that were left, from where the registry says that they are. */
  async resume(): Promise<void> {
    for (const [session, { repo, bytes, sentBytes }] of this.unfinished) {
      const status = await this.#expect(await this.#send(session), 204);
      const last = Number(/-(\d+)$/.exec(status.headers.get('range') ?? '')?.[1]);
      const offsetBytes = last === 0 ? 0 : last + 1;
      if (!(offsetBytes >= sentBytes)) throw new Error(`the session has ${offsetBytes} bytes, not ${sentBytes}`);
      await this.#close(repo, session, bytes, bytes.slice(offsetBytes));
    }
  }

  #steps(): readonly Step[] {
    const first = JSON.stringify(imageOf(this.#config, this.#base, this.#layer));
    const second = JSON.stringify(imageOf(this.#config, this.#layer));
    const index = JSON.stringify(indexOf(first, second));
    const about = JSON.stringify({
      ...imageOf(this.#config),
      subject: { mediaType: ociManifest, digest: digestOf(first), size: first.length },
    });
    return [
      { name: 'a blob in chunks', run: () => this.#pushInChunks('app', this.#base) },
      { name: 'a large blob', run: () => this.#pushInChunks('large', freshBytes(largeBytes + 2000), largeBytes) },
      { name: 'a blob with POST and PUT', run: () => this.#pushAtOnce('app', this.#config) },
      { name: 'a blob with a single POST', run: () => this.#push('app', this.#layer) },
      { name: 'a copy of a blob', run: () => this.#push('app', this.#base) },
      { name: 'an image', run: () => this.#put('app', 'one', first) },
      { name: 'a mount', run: () => this.#mount('other', 'app', this.#layer) },
      { name: 'a blob that another repository has', run: () => this.#push('other', this.#config) },
      { name: 'an image in another repository', run: () => this.#put('other', 'two', second) },
      { name: 'a second image', run: () => this.#put('app', 'two', second) },
      { name: 'an index', run: () => this.#put('app', 'multi', index, ociIndex) },
      { name: 'a referrer', run: () => this.#put('app', digestOf(about), about) },
      { name: 'a chunk that is too short', run: () => this.#pushTooLittle('app') },
      { name: 'a chunk that another overtakes', run: () => this.#overtake('app') },
      { name: 'a wrong digest', run: () => this.#pushWrong('app') },
      { name: 'an upload that is cancelled', run: () => this.#cancel('app') },
      { name: 'a large upload that is cancelled', run: () => this.#cancelLarge('app') },
      { name: 'an upload that nobody ends', run: () => this.#leaveOpen('app') },
      { name: 'an overwritten tag', run: () => this.#put('app', 'one', second) },
      { name: 'a deleted tag', run: () => this.#remove('app', 'two') },
      { name: 'a blob that nothing needs', run: () => this.#pushAndDelete('app') },
      { name: 'a manifest deleted by its digest', run: () => this.#removeByDigest('other', digestOf(second), 'two') },
      { name: 'an index deleted by its digest', run: () => this.#removeByDigest('app', digestOf(index), 'multi') },
      { name: 'an image that a policy is to prune', run: () => this.#pushImage('scratch', 'old') },
      { name: 'an image that it keeps', run: () => this.#pushImage('scratch', 'new') },
      { name: 'an image with a secret', run: () => this.#pushImage('leaky', 'secret') },
      { name: 'a purge', run: () => this.#purge('leaky:secret') },
      { name: 'pruning', run: () => this.#prune('scratch:old') },
      { name: 'collecting', run: () => this.#hoursPass(2) },
      { name: 'a blob that was collected', run: () => this.#push('app', this.#base) },
      { name: 'an image that was collected', run: () => this.#put('app', 'again', first) },
    ];
  }

  async #pushImage(repo: string, tag: string): Promise<void> {
    const [config, layer] = [freshBytes(), freshBytes(1500)];
    await this.#push(repo, config);
    await this.#push(repo, layer);
    await this.#put(repo, tag, JSON.stringify(imageOf(config, layer)));
  }

  /** Nobody is promised it from here on, whether the purge is answered or not. */
  async #purge(image: string): Promise<void> {
    this.images.delete(image);
    this.blobs.clear();
    const body = { images: [image], reason: 'it has a secret', shred: true };
    await this.#expect(await this.#registry.admin('POST', '/purge', body), 200);
  }

  /** A policy keeps the newest only: the other may go from now on, if both are there. */
  async #prune(name: string): Promise<void> {
    const digest = this.images.get(name);
    if (digest !== undefined) this.prunable.set(name, digest);
    this.images.delete(name);
    await this.#hoursPass(1);
  }

  async #hoursPass(hours: number): Promise<void> {
    // Leases and sessions end, and what was never tagged goes.
    this.blobs.clear();
    this.unfinished.clear();
    for (const reference of this.images.keys()) if (reference.includes('@')) this.images.delete(reference);
    for (let hour = 0; hour < hours; hour++) await this.#registry.hourPasses();
  }

  async #send(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(new URL(path, this.#registry.origin), init);
  }

  /** @throws RefusedError where another answer is one that a failing disk may lead to */
  async #expect(answer: Response, status: number): Promise<Response> {
    if (answer.status === status) return answer;
    const text = await answer.text();
    const isRefusal = answer.status < 500 || answer.status === 503 || answer.status === 507;
    if (this.#mayRefuse && isRefusal) throw new RefusedError(`${answer.status} ${text}`);
    throw new Error(`${answer.status}, not ${status}: ${text}`);
  }

  async #openSession(repo: string): Promise<string> {
    const opened = await this.#expect(await this.#send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' }), 202);
    return opened.headers.get('location') ?? '';
  }

  async #pushInChunks(repo: string, bytes: Uint8Array<ArrayBuffer>, firstBytes = 1000): Promise<void> {
    const session = await this.#openSession(repo);
    const [first, second] = [firstBytes, firstBytes + 1000];
    this.unfinished.set(session, { repo, bytes, sentBytes: 0 });
    await this.#expect(await this.#send(session, { method: 'PATCH', body: bytes.slice(0, first) }), 202);
    this.unfinished.set(session, { repo, bytes, sentBytes: first });
    await this.#expect(await this.#send(session, { method: 'PATCH', body: bytes.slice(first, second) }), 202);
    this.unfinished.set(session, { repo, bytes, sentBytes: second });
    await this.#close(repo, session, bytes, bytes.slice(second));
  }

  async #pushAtOnce(repo: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#close(repo, await this.#openSession(repo), bytes, bytes);
  }

  async #close(repo: string, session: string, all: Uint8Array, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const digest = digestOf(all);
    // It may be closed from here on, whether that is answered or not.
    this.unfinished.delete(session);
    await this.#expect(await this.#send(`${session}?digest=${digest}`, { method: 'PUT', body }), 201);
    this.blobs.add(`${repo}@${digest}`);
  }

  async #push(repo: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const digest = digestOf(body);
    const path = `/v2/${repo}/blobs/uploads/?digest=${digest}`;
    await this.#expect(await this.#send(path, { method: 'POST', body }), 201);
    this.blobs.add(`${repo}@${digest}`);
  }

  async #mount(repo: string, from: string, bytes: Uint8Array): Promise<void> {
    const digest = digestOf(bytes);
    const path = `/v2/${repo}/blobs/uploads/?mount=${digest}&from=${from}`;
    await this.#expect(await this.#send(path, { method: 'POST' }), 201);
    this.blobs.add(`${repo}@${digest}`);
  }

  async #put(repo: string, reference: string, text: string, contentType: string = ociManifest): Promise<void> {
    const name = reference.includes(':') ? `${repo}@${reference}` : `${repo}:${reference}`;
    this.images.delete(name);
    const init = { method: 'PUT', body: text, headers: { 'content-type': contentType } };
    await this.#expect(await this.#send(`/v2/${repo}/manifests/${reference}`, init), 201);
    this.images.set(name, digestOf(text));
  }

  async #remove(repo: string, tag: string): Promise<void> {
    this.images.delete(`${repo}:${tag}`);
    await this.#expect(await this.#send(`/v2/${repo}/manifests/${tag}`, { method: 'DELETE' }), 202);
  }

  async #removeByDigest(repo: string, digest: string, tag: string): Promise<void> {
    this.images.delete(`${repo}:${tag}`);
    await this.#expect(await this.#send(`/v2/${repo}/manifests/${digest}`, { method: 'DELETE' }), 202);
  }

  /** Of unknown length, so that only the end of the body tells that it is shorter than its range. */
  async #pushTooLittle(repo: string): Promise<void> {
    const session = await this.#openSession(repo);
    await this.#expect(await this.#send(session, { method: 'PATCH', body: freshBytes() }), 202);
    const pieces = [freshBytes(50)];
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = pieces.pop();
        if (piece === undefined) controller.close();
        else controller.enqueue(piece);
      },
    });
    const headers = { 'content-range': '100-199' };
    await this.#expect(await this.#send(session, { method: 'PATCH', body, headers }), 400);
    await this.#expect(await this.#send(session, { method: 'DELETE' }), 204);
  }

  /** A request that stalls after more than the registry keeps in memory; the next one takes the session over. */
  async #overtake(repo: string): Promise<void> {
    const session = await this.#openSession(repo);
    const { host } = new URL(this.#registry.origin);
    const stalled = await RawRequest.open(host, 'PATCH', session, {
      'content-length': String(stalledBytes + mebibyte),
    });
    const before = await this.#storedBytes();
    // One that refuses may not take it all.
    stalled.write(freshBytes(stalledBytes)).catch(() => undefined);
    await until('the registry has written some of it, or refused', async () => {
      const isWritten = (await this.#storedBytes()) >= before + mebibyte;
      return isWritten || this.#mayRefuse || (await this.#registry.hasEnded());
    });
    const bytes = freshBytes();
    await this.#close(repo, session, bytes, bytes);
    stalled.destroy();
  }

  async #storedBytes(): Promise<number> {
    // What goes meanwhile cannot be measured.
    return await this.#registry.storedBytes().catch(() => 0);
  }

  async #pushWrong(repo: string): Promise<void> {
    const path = `/v2/${repo}/blobs/uploads/?digest=${digestOf('others')}`;
    await this.#expect(await this.#send(path, { method: 'POST', body: freshBytes() }), 400);
  }

  /** In a second chunk, so that a bucket has it in parts. */
  async #cancelLarge(repo: string): Promise<void> {
    const session = await this.#leaveOpen(repo, largeBytes);
    this.unfinished.delete(session);
    await this.#expect(await this.#send(session, { method: 'PATCH', body: freshBytes(1000) }), 202);
    await this.#expect(await this.#send(session, { method: 'DELETE' }), 204);
  }

  async #cancel(repo: string): Promise<void> {
    const session = await this.#leaveOpen(repo);
    this.unfinished.delete(session);
    await this.#expect(await this.#send(session, { method: 'DELETE' }), 204);
  }

  async #leaveOpen(repo: string, sizeBytes?: number): Promise<string> {
    const session = await this.#openSession(repo);
    const bytes = freshBytes(sizeBytes);
    await this.#expect(await this.#send(session, { method: 'PATCH', body: bytes }), 202);
    this.unfinished.set(session, { repo, bytes, sentBytes: bytes.byteLength });
    return session;
  }

  async #pushAndDelete(repo: string): Promise<void> {
    const bytes = freshBytes();
    await this.#push(repo, bytes);
    this.blobs.delete(`${repo}@${digestOf(bytes)}`);
    await this.#expect(await this.#send(`/v2/${repo}/blobs/${digestOf(bytes)}`, { method: 'DELETE' }), 202);
  }
}

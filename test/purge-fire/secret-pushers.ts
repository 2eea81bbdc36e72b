import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';

const pushers = 8;
const chunks = 4;

/** What a client asks for that would bring the secret somewhere, or get it from there. */
export type Attempt = 'push at once' | 'push in chunks' | 'mount' | 'put a manifest' | 'pull' | 'HEAD';
export const attempts: readonly Attempt[] = [
  'push at once',
  'push in chunks',
  'mount',
  'put a manifest',
  'pull',
  'HEAD',
];

/** The answer that decides an attempt. Times are those of performance.now(). */
export interface Answer {
  readonly attempt: Attempt;
  readonly beganAt: number;
  readonly status: number;
}

/** Clients that push a blob to repositories of their own again and again, mount it, use it in images, and pull it. */
export class SecretPushers {
  readonly answers: Answer[] = [];
  readonly #origin: string;
  readonly #secret: Uint8Array<ArrayBuffer>;
  readonly #digest: string;
  /** Where the blob is to begin with. */
  readonly #source: string;
  readonly #running: Promise<unknown>[] = [];
  #isOver = false;

  constructor(origin: string, source: string, secret: Uint8Array<ArrayBuffer>) {
    this.#origin = origin;
    this.#source = source;
    this.#secret = secret;
    this.#digest = digestOf(secret);
  }

  start(): void {
    for (let number = 0; number < pushers; number += 1) {
      const isChunked = number % 2 === 1;
      this.#running.push(this.#again(() => this.#pushImage(`push/${number}`, isChunked)));
    }
    this.#running.push(this.#again(() => this.#mount()));
    for (const method of ['GET', 'HEAD']) this.#running.push(this.#again(() => this.#ask(method)));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  /** The kinds of attempts that have had one of these answers since then. */
  answered(since: number, ...statuses: readonly number[]): ReadonlySet<Attempt> {
    const found = this.answers.filter(({ beganAt, status }) => beganAt >= since && statuses.includes(status));
    return new Set(found.map(({ attempt }) => attempt));
  }

  async #again(run: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      try {
        await run();
      } catch {
        // The registry is being killed, or started again.
        await Bun.sleep(20);
      }
    }
  }

  async #send(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(new URL(path, this.#origin), { ...init, signal: AbortSignal.timeout(60_000) });
  }

  /** Sends the request whose answer decides an attempt. */
  async #attempt(attempt: Attempt, path: string, init: RequestInit): Promise<number> {
    const beganAt = performance.now();
    const answer = await this.#send(path, init);
    this.answers.push({ attempt, beganAt, status: answer.status });
    // Of a download no more than its beginning.
    await answer.body?.cancel();
    return answer.status;
  }

  async #pushImage(repo: string, isChunked: boolean): Promise<void> {
    await (isChunked ? this.#pushInChunks(repo) : this.#pushAtOnce(repo));
    const config = freshBytes();
    const path = `/v2/${repo}/blobs/uploads/?digest=${digestOf(config)}`;
    await (await this.#send(path, { method: 'POST', body: config })).body?.cancel();
    const body = JSON.stringify(imageOf(config, this.#secret));
    const headers = { 'content-type': ociManifest };
    await this.#attempt('put a manifest', `/v2/${repo}/manifests/v1`, { method: 'PUT', body, headers });
  }

  async #pushAtOnce(repo: string): Promise<void> {
    const path = `/v2/${repo}/blobs/uploads/?digest=${this.#digest}`;
    await this.#attempt('push at once', path, { method: 'POST', body: this.#secret });
  }

  async #pushInChunks(repo: string): Promise<void> {
    const opened = await this.#send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    await opened.body?.cancel();
    const session = opened.headers.get('location') ?? '';
    const chunkBytes = this.#secret.length / chunks;
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      const body = this.#secret.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes);
      const answer = await this.#send(session, { method: 'PATCH', body });
      await answer.body?.cancel();
      if (answer.status !== 202) return;
    }
    await this.#attempt('push in chunks', `${session}?digest=${this.#digest}`, { method: 'PUT' });
  }

  async #mount(): Promise<void> {
    const path = `/v2/mount/here/blobs/uploads/?mount=${this.#digest}&from=${this.#source}`;
    await this.#attempt('mount', path, { method: 'POST' });
    await Bun.sleep(10);
  }

  async #ask(method: string): Promise<void> {
    const path = `/v2/${this.#source}/blobs/${this.#digest}`;
    await this.#attempt(method === 'GET' ? 'pull' : 'HEAD', path, { method });
    await Bun.sleep(20);
  }
}

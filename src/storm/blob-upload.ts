import type { StormBlob } from './content.ts';
import { type Answer, type RegistryClient, textOf, Unanswered } from './registry-client.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { Tally } from './tally.ts';

const octets = { 'content-type': 'application/octet-stream' };

/** An answer that ends what the client was about; what is wrong with it has been noted. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** Uploads blobs in all the ways that clients have. */
export class BlobUploader {
  readonly #client: RegistryClient;
  readonly #random: SeededRandom;
  readonly #tally: Tally;
  readonly #allowDown: boolean;

  constructor(parts: {
    readonly client: RegistryClient;
    readonly random: SeededRandom;
    readonly tally: Tally;
    readonly allowDown: boolean;
  }) {
    this.#client = parts.client;
    this.#random = parts.random;
    this.#tally = parts.tally;
    this.#allowDown = parts.allowDown;
  }

  /**
   * Brings a blob into a repository.
   * @param mountFrom another repository that may have it
   * @returns when the request was sent that the registry has acknowledged it with
   */
  async upload(repository: string, blob: StormBlob, mountFrom: string | undefined): Promise<number> {
    if (mountFrom !== undefined && mountFrom !== repository && this.#random.chance(0.4)) {
      return await this.#mount(repository, blob, mountFrom);
    }
    if (this.#random.chance(0.2)) {
      const query = `?digest=${encodeURIComponent(blob.digest)}`;
      const parts = { headers: octets, body: blob.bytes };
      const answer = await this.#client.send('blob in one POST', 'POST', `${repository}/blobs/uploads/${query}`, parts);
      if (answer.status === 201) return answer.sentAt;
      // A registry need not know this way; it then opens a session.
      this.#expect(answer, 'POST with all bytes', [202]);
      return await this.#finish(answer, blob);
    }
    return await this.#finish(await this.#open(repository), blob);
  }

  async #mount(repository: string, blob: StormBlob, from: string): Promise<number> {
    const query = `?mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(from)}`;
    const answer = await this.#client.send('mount', 'POST', `${repository}/blobs/uploads/${query}`);
    if (answer.status === 201) return answer.sentAt;
    this.#expect(answer, 'mount', [201, 202]);
    return await this.#finish(answer, blob);
  }

  async #open(repository: string): Promise<Answer> {
    const answer = await this.#client.send('open an upload', 'POST', `${repository}/blobs/uploads/`);
    this.#expect(answer, 'open an upload', [202]);
    return answer;
  }

  /** Sends the bytes to an open session: whole, in one stream, or in chunks; some clients give up. */
  async #finish(opened: Answer, blob: StormBlob): Promise<number> {
    let session = this.#locationOf(opened);
    if (this.#random.chance(0.03)) {
      // Clients that give up ignore what they are told.
      await this.#client.send('cancel an upload', 'DELETE', session);
      throw new Refused('the client has given up');
    }
    const way = this.#random.next();
    let rest = blob.bytes;
    if (way < 0.25) {
      session = await this.#patch(session, blob.bytes, {});
      rest = blob.bytes.subarray(blob.bytes.length);
    } else if (way < 0.5) {
      const chunkBytes = Math.ceil(blob.bytes.length / this.#random.between(2, 4));
      for (let from = 0; from < blob.bytes.length; from += chunkBytes) {
        const chunk = blob.bytes.subarray(from, from + chunkBytes);
        session = await this.#patch(session, chunk, { 'content-range': `${from}-${from + chunk.length - 1}` });
      }
      rest = blob.bytes.subarray(blob.bytes.length);
    }
    session.searchParams.append('digest', blob.digest);
    const closed = await this.#client.send('close an upload', 'PUT', session, { headers: octets, body: rest });
    this.#expectSession(closed, 'close an upload', 201);
    return closed.sentAt;
  }

  async #patch(session: URL, body: Uint8Array<ArrayBuffer>, headers: Readonly<Record<string, string>>): Promise<URL> {
    const answer = await this.#client.send('upload bytes', 'PATCH', session, {
      headers: { ...octets, ...headers },
      body,
    });
    this.#expectSession(answer, 'upload bytes', 202);
    return this.#locationOf(answer);
  }

  /** A session may be lost with the registry's process; nothing else may become of it. */
  #expectSession(answer: Answer, what: string, status: number): void {
    if (this.#allowDown && (answer.status === 404 || answer.status === 416)) {
      this.#tally.lostSessions += 1;
      throw new Unanswered(`${what}: the session is gone`);
    }
    this.#expect(answer, what, [status]);
  }

  #expect(answer: Answer, what: string, statuses: readonly number[]): void {
    if (statuses.includes(answer.status)) return;
    this.#tally.findings.wrong(`${what}: ${answer.status}`, {
      request: `${what} ${answer.url.pathname}${answer.url.search}`,
      expected: statuses.join(' or '),
      got: textOf(answer),
    });
    throw new Refused(`${what}: ${answer.status}`);
  }

  /** Where to go on with a session. */
  #locationOf(answer: Answer): URL {
    const location = answer.headers.get('location');
    if (location !== null) return new URL(location, answer.url);
    const request = `${answer.url.pathname}${answer.url.search}`;
    this.#tally.findings.wrong('no Location', { request, expected: 'where to go on', got: textOf(answer) });
    throw new Refused('no Location in the answer');
  }
}

import { z } from 'zod';
import type { SeededRandom } from '../../../src/storm/seeded-random.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../../http/content.ts';
import type { Beside } from './beside.ts';
import type { Answer, CleanAnswers } from './clean-answers.ts';
import type { Findings } from './findings.ts';

const repo = 'aside/acknowledged';
const mountedRepo = 'aside/mounted';
/** More than two parts of an upload, in two chunks. */
const chunkBytes = [6_000_000, 5_500_000] as const;

const leased = z.object({ lease_until: z.coerce.number() });

interface Blob {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: string;
}

/**
 * A client that pushes, mounts, asks, tags and deletes, and looks at the database as soon as it is told that something is so:
 * it is committed then, and leased for half a lease at least (I7).
 */
export class AcknowledgedWrites {
  readonly #answers: CleanAnswers;
  readonly #beside: Beside;
  readonly #random: SeededRandom;
  readonly #findings: Findings;
  readonly #leaseMs: number;
  #known: Blob[] = [];

  constructor(parts: {
    readonly answers: CleanAnswers;
    readonly beside: Beside;
    readonly random: SeededRandom;
    readonly findings: Findings;
    readonly leaseMs: number;
  }) {
    this.#answers = parts.answers;
    this.#beside = parts.beside;
    this.#random = parts.random;
    this.#findings = parts.findings;
    this.#leaseMs = parts.leaseMs;
  }

  async goOnUntil(isOver: () => boolean): Promise<void> {
    // One at least, whatever comes: what goes wrong with parts is to find one.
    do await this.#pushInChunks();
    while (!isOver() && this.#known.length === 0);
    while (!isOver()) await this.#one();
  }

  async #one(): Promise<void> {
    const way = this.#random.next();
    const known = this.#random.pick(this.#known.slice(-4));
    if (way < 0.03) await this.#pushInChunks();
    else if (way < 0.3 || known === undefined) await this.#pushWhole();
    else if (way < 0.5) await this.#ask(known);
    else if (way < 0.7) await this.#mount(known);
    else await this.#pushImage(known);
  }

  async #pushWhole(): Promise<void> {
    const blob = freshBlob(this.#random.between(1, 100_000));
    const path = `${repo}/blobs/uploads/?digest=${blob.digest}`;
    const pushed = await this.#answers.send(
      path,
      { expected: [201], ...this.#linked(201, repo, blob.digest) },
      {
        method: 'POST',
        body: blob.bytes,
      },
    );
    if (pushed !== undefined) this.#known.push(blob);
  }

  async #pushInChunks(): Promise<void> {
    const chunks = chunkBytes.map((size) => freshBytes(size));
    const digest = digestOf(Buffer.concat(chunks));
    const opened = await this.#answers.send(`${repo}/blobs/uploads/`, { expected: [202] }, { method: 'POST' });
    let session = locationOf(opened);
    for (const body of chunks) {
      if (session === undefined) return;
      // 404 where it was given up meanwhile.
      session = locationOf(await this.#answers.send(session, { expected: [202, 404] }, { method: 'PATCH', body }));
    }
    if (session === undefined) return;
    const path = `${session}${session.includes('?') ? '&' : '?'}digest=${digest}`;
    const asked = { expected: [201, 404], ...this.#linked(201, repo, digest) };
    const closed = await this.#answers.send(path, asked, { method: 'PUT' });
    if (closed?.status === 201) this.#known.push({ bytes: new Uint8Array(Buffer.concat(chunks)), digest });
  }

  async #ask({ digest }: Blob): Promise<void> {
    const asked = { expected: [200, 404], ...this.#linked(200, repo, digest) };
    await this.#answers.send(`${repo}/blobs/${digest}`, asked, { method: 'HEAD' });
  }

  async #mount({ digest }: Blob): Promise<void> {
    const path = `${mountedRepo}/blobs/uploads/?mount=${digest}&from=${repo}`;
    const asked = { expected: [201, 202], ...this.#linked(201, mountedRepo, digest) };
    await this.#answers.send(path, asked, { method: 'POST' });
  }

  async #pushImage({ bytes }: Blob): Promise<void> {
    const manifest = JSON.stringify({ ...imageOf(bytes), annotations: { number: String(this.#random.next()) } });
    const digest = digestOf(manifest);
    const tag = `tag-${this.#random.between(0, 3)}`;
    const pushed = await this.#answers.send(
      `${repo}/manifests/${tag}`,
      // The blob's lease may be over.
      {
        expected: [201, 400, 404],
        answered: this.#after(201, `manifest ${digest}`, (sentAt) =>
          this.#findLease(
            `select lease_until from manifest join tag using (repo) where repo = $1 and digest = $2 and state = 'live'
               and tag.manifest = digest and tag.name = $3`,
            sentAt,
            [repo, digest, tag],
          ),
        ),
      },
      { method: 'PUT', headers: { 'content-type': ociManifest }, body: manifest },
    );
    if (pushed?.status !== 201 || this.#random.chance(0.5)) return;
    const deleted = this.#after(202, `delete of ${digest}`, async () => {
      const sql = `select digest from manifest where repo = $1 and digest = $2 and state = 'live'`;
      return (await this.#beside.rows(z.object({}), sql, repo, digest)).length === 0;
    });
    await this.#answers.send(
      `${repo}/manifests/${digest}`,
      { expected: [202, 404], answered: deleted },
      { method: 'DELETE' },
    );
  }

  #linked(status: number, of: string, digest: string): { answered: (status: number, sentAt: number) => Promise<void> } {
    const sql = `select lease_until from link join object on live_digest = link.digest
                 where repo = $1 and link.digest = $2 and deleted_at is null`;
    const find = (sentAt: number): Promise<boolean> => this.#findLease(sql, sentAt, [of, digest]);
    return { answered: this.#after(status, `${digest} in ${of}`, find) };
  }

  #after(
    expected: number,
    what: string,
    isSo: (sentAt: number) => Promise<boolean>,
  ): (status: number, sentAt: number) => Promise<void> {
    return async (status, sentAt) => {
      if (status !== expected) return;
      const holds = await isSo(sentAt);
      // Whoever is told so late, or finds out, may find it gone.
      if (Date.now() - sentAt >= this.#leaseMs / 2) return;
      this.#findings.looked('I7');
      if (!holds) this.#findings.found({ invariant: 'I7', words: `${status} for ${what}, which is not so` });
    };
  }

  async #findLease(sql: string, sentAt: number, parameters: readonly string[]): Promise<boolean> {
    const rows = await this.#beside.rows(leased, sql, ...parameters);
    return rows.some(({ lease_until: until }) => until >= sentAt + this.#leaseMs / 2);
  }
}

function freshBlob(sizeBytes: number): Blob {
  const bytes = freshBytes(sizeBytes);
  return { bytes, digest: digestOf(bytes) };
}

/** Where an upload goes on, whoever is asked, below /v2/. */
function locationOf(answer: Answer | undefined): string | undefined {
  const location = answer?.headers.get('location');
  if (answer?.status === 404 || location === undefined || location === null) return undefined;
  const { pathname, search } = new URL(location, 'http://127.0.0.1');
  return (pathname + search).replace(/^\/v2\//, '');
}

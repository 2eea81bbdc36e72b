import { z } from 'zod';
import type { BlobStore } from '../../../src/blobs/store.ts';
import { digestOf, freshBytes } from '../../http/content.ts';
import type { Beside } from './beside.ts';
import type { CleanAnswers } from './clean-answers.ts';
import type { Findings } from './findings.ts';

const repo = 'aside/missing';
/** How often that is done at most: each leaves a line in a log. */
const betweenMs = 500;
/** How often it is tried when all is over and nothing has been repaired yet. */
const triesAfter = 20;

const found = z.object({ oid: z.string() });

/** A client behind whose back the bytes of what it has pushed are taken out of the bucket: it is told 404, and may push it again (I10). */
export class MissingBytes {
  readonly #answers: CleanAnswers;
  readonly #beside: Beside;
  readonly #findings: Findings;
  readonly #blobs: BlobStore;
  readonly #oids: Set<string>;
  readonly #digests = new Set<string>();
  /** How often a pull has found them missing, and a push has brought them back. */
  missed = 0;
  repaired = 0;

  /** @param oids is told of those whose bytes are taken away */
  constructor(parts: {
    readonly answers: CleanAnswers;
    readonly beside: Beside;
    readonly findings: Findings;
    readonly blobs: BlobStore;
    readonly oids: Set<string>;
  }) {
    this.#answers = parts.answers;
    this.#beside = parts.beside;
    this.#findings = parts.findings;
    this.#blobs = parts.blobs;
    this.#oids = parts.oids;
  }

  isOf(digest: string): boolean {
    return this.#digests.has(digest);
  }

  async goOnUntil(isOver: () => boolean): Promise<void> {
    // One repair at least, however much went wrong.
    for (let more = triesAfter; !isOver() || (this.repaired === 0 && more > 0); more -= isOver() ? 1 : 0) {
      await this.#one();
      await Bun.sleep(betweenMs);
    }
  }

  async #one(): Promise<void> {
    const bytes = freshBytes(50_000);
    const digest = digestOf(bytes);
    this.#digests.add(digest);
    const push = async (): Promise<boolean> => {
      const path = `${repo}/blobs/uploads/?digest=${digest}`;
      return (await this.#answers.send(path, { expected: [201] }, { method: 'POST', body: bytes })) !== undefined;
    };
    if (!(await push())) return;
    const [row] = await this.#beside.rows(found, 'select oid from object where live_digest = $1', digest);
    if (row === undefined) return;
    this.#oids.add(row.oid);
    await this.#blobs.remove(row.oid);
    // A request that came late may have brought the bytes back.
    const pull = { expected: [200, 404], digest };
    if ((await this.#answers.send(`${repo}/blobs/${digest}`, pull))?.status !== 404) return;
    this.missed++;
    if (!(await push())) return;
    const pushedAt = Date.now();
    const pulled = await this.#answers.send(`${repo}/blobs/${digest}`, { expected: [200, 404], digest });
    const isThere = pulled?.status === 200;
    if (isThere) this.repaired++;
    if (pulled !== undefined && !isThere && Date.now() - pushedAt < 1000) {
      this.#findings.found({ invariant: 'I10', words: 'what was pushed again for its missing bytes is not there' });
    }
  }
}

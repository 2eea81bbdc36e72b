import { digestOf, freshBytes } from '../../http/content.ts';
import type { CleanAnswers } from './clean-answers.ts';
import type { Findings } from './findings.ts';

const repo = 'aside/purged';
/** A part of the squeezed one. */
const leaseMs = 1000;
/** How often it is tried when all is over and nothing has been purged yet. */
const triesAfter = 20;

/** A client that pushes blobs and has them purged: what is answered is a clean yes or no, and nobody gets or brings them any more (I11). */
export class PurgingClient {
  readonly purged: string[] = [];
  readonly #answers: CleanAnswers;
  readonly #findings: Findings;
  readonly #admin: (body: object) => Promise<Response>;

  constructor(answers: CleanAnswers, findings: Findings, admin: (body: object) => Promise<Response>) {
    this.#answers = answers;
    this.#findings = findings;
    this.#admin = admin;
  }

  async goOnUntil(isOver: () => boolean): Promise<void> {
    // One purge at least, however much went wrong.
    for (let more = triesAfter; !isOver() || (this.purged.length === 0 && more > 0); more -= isOver() ? 1 : 0) {
      await this.#one();
    }
  }

  async #one(): Promise<void> {
    const bytes = freshBytes(200_000);
    const digest = digestOf(bytes);
    const begunAt = performance.now();
    const push = { method: 'POST', body: bytes };
    const path = `${repo}/blobs/uploads/?digest=${digest}`;
    if ((await this.#answers.send(path, { expected: [201] }, push)) === undefined) return;
    const pulled = await this.#answers.send(`${repo}/blobs/${digest}`, { expected: [200, 404], digest });
    // Nothing holds it but its lease, and requests may take longer than that.
    const mayBeGone = performance.now() - begunAt > leaseMs;
    if (pulled?.status === 404 && !mayBeGone) {
      this.#findings.found({ invariant: 'I10', words: 'what was pushed just now is not there' });
    }
    if (pulled?.status !== 200) return;
    const purge = this.#admin({ digests: [digest], reason: 'why' });
    if ((await this.#answers.take('purge', purge, { expected: [200] })) === undefined) return;
    this.purged.push(digest);
    await this.#isKeptOut(`blobs/${digest}`, digest);
    await this.#isKeptOut(`blobs/uploads/?digest=${digest}`, digest, push);
  }

  async #isKeptOut(path: string, digest: string, init: RequestInit = {}): Promise<void> {
    const expected = [200, 201, 403, 404];
    const answer = await this.#answers.send(`${repo}/${path}`, { expected }, init);
    if (answer === undefined) return;
    this.#findings.looked('I11');
    if (answer.status === 403) return;
    const words = `${init.method ?? 'GET'} of ${digest}, which is purged, was answered with ${answer.status}`;
    this.#findings.found({ invariant: 'I11', words });
  }
}

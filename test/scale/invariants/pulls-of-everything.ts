import { z } from 'zod';
import type { Beside } from './beside.ts';
import type { CleanAnswers } from './clean-answers.ts';
import type { Findings } from './findings.ts';

/** So many things are asked for before it is looked again what there has been. */
const atOnce = 30;

const known = z.object({ kind: z.enum(['blobs', 'manifests']), repo: z.string(), digest: z.string() });
const standing = z.object({ since: z.string() });

type Known = z.infer<typeof known>;

/**
 * A client that pulls, in any order, whatever has ever been in the registry: what is there the whole time is never 404, what is
 * not there is, and no answer is anything else (I10).
 */
export class PullsOfEverything {
  readonly #answers: CleanAnswers;
  readonly #beside: Beside;
  readonly #findings: Findings;
  readonly #leaseMs: number;
  readonly #isDamaged: (digest: string) => boolean;

  constructor(parts: {
    readonly answers: CleanAnswers;
    readonly beside: Beside;
    readonly findings: Findings;
    readonly leaseMs: number;
    /** Whether the test itself has taken the bytes away. */
    readonly isDamaged: (digest: string) => boolean;
  }) {
    this.#answers = parts.answers;
    this.#beside = parts.beside;
    this.#findings = parts.findings;
    this.#leaseMs = parts.leaseMs;
    this.#isDamaged = parts.isDamaged;
  }

  async goOnUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const some = await this.#beside.rows(
        known,
        `select about || 's' as kind, repo, digest from (
           select distinct case about when 'link' then 'blob' else about end as about,
             after->>'repo' as repo, after->>'digest' as digest
           from noted.change where about in ('link', 'manifest') and before is null
         ) as known order by random() limit ${atOnce}`,
      );
      for (const each of some) if (!isOver()) await this.#pull(each);
      if (some.length === 0) await Bun.sleep(100);
    }
  }

  async #pull(each: Known): Promise<void> {
    const { kind, repo, digest } = each;
    const before = await this.#standing(each);
    const answer = await this.#answers.send(
      `${repo}/${kind}/${digest}`,
      // What was purged is refused.
      { expected: [200, 404, 403], digest },
      { headers: { accept: '*/*' } },
    );
    if (answer === undefined || this.#isDamaged(digest)) return;
    const after = await this.#standing(each);
    const isFast = Date.now() - answer.sentAt < this.#leaseMs;
    const words = `${answer.status} for ${digest} in ${repo}`;
    if (before !== undefined && before === after && answer.status !== 200) {
      this.#findings.found({ invariant: 'I10', words: `${words}, which was there all the time` });
    }
    // What comes stays for a lease.
    if (before === undefined && after === undefined && answer.status === 200 && isFast) {
      this.#findings.found({ invariant: 'I10', words: `${words}, which was not there` });
    }
  }

  /** By what one that is visible is known from another that takes its place; undefined where there is none. */
  async #standing({ kind, repo, digest }: Known): Promise<string | undefined> {
    const sql =
      kind === 'blobs'
        ? `select oid || ' ' || created_at as since from link join object on live_digest = link.digest
           where repo = $1 and link.digest = $2 and deleted_at is null`
        : `select pushed_at::text as since from manifest where repo = $1 and digest = $2 and state = 'live'`;
    return (await this.#beside.rows(standing, sql, repo, digest))[0]?.since;
  }
}

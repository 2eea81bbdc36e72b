import type { StormBlob, StormManifest } from './content.ts';
import type { Deletion, Ledger } from './ledger.ts';
import { type Answer, type RegistryClient, textOf } from './registry-client.ts';
import type { Attempt, TagRecord } from './tag-record.ts';
import type { Tally } from './tally.ts';

/** How a registry may say that it does not delete that: nothing at all, or not this one now. */
const refusals = new Set([400, 403, 405, 409, 412]);

/** Deletes tags, manifests and blobs. */
export class Deleter {
  readonly #client: RegistryClient;
  readonly #ledger: Ledger;
  readonly #tally: Tally;

  constructor(client: RegistryClient, ledger: Ledger, tally: Tally) {
    this.#client = client;
    this.#ledger = ledger;
    this.#tally = tally;
  }

  /** Deletes one of the worker's own tags. */
  async deleteTag(tag: TagRecord): Promise<void> {
    const { repository, name, certain } = tag;
    const attempt = tag.attempt('absent');
    const begunAt = tag.changedAt;
    let outcome: keyof Attempt = 'unanswered';
    try {
      const answer = await this.#client.send('DELETE tag', 'DELETE', `${repository}/manifests/${name}`);
      outcome = this.#isDone(answer) ? 'acknowledged' : 'refused';
      const wasThere =
        certain !== undefined && !this.#ledger.wasDeletedSince(repository, certain.manifest.digest, begunAt);
      if (answer.status === 404 && wasThere) this.#wasLost(answer);
    } finally {
      attempt[outcome]();
    }
  }

  async deleteManifest(repository: string, manifest: StormManifest): Promise<void> {
    await this.#deleteDigest('DELETE manifest', repository, `manifests/${manifest.digest}`, manifest.digest);
  }

  async deleteBlob(repository: string, { digest }: StormBlob): Promise<void> {
    await this.#deleteDigest('DELETE blob', repository, `blobs/${digest}`, digest);
  }

  async #deleteDigest(kind: string, repository: string, place: string, digest: string): Promise<void> {
    const promised = this.#ledger.promisedImagesWith(repository, digest);
    const leadingThere = promised.filter(({ certain }) => certain?.manifest.digest === digest);
    const deletion = this.#ledger.deleting(repository, digest);
    if (deletion === undefined) return;
    const begunAt = this.#ledger.next();
    let outcome: keyof Deletion = 'unanswered';
    try {
      const answer = await this.#client.send(kind, 'DELETE', `${repository}/${place}`);
      outcome = this.#isDone(answer) ? 'acknowledged' : 'refused';
      if (answer.status === 202 && promised.length > leadingThere.length) this.#tally.breakingDeletes += 1;
      const wasThere = leadingThere.some((tag) => !tag.isChanging && tag.changedAt < begunAt);
      if (answer.status === 404 && wasThere) this.#wasLost(answer);
    } finally {
      deletion[outcome]();
    }
  }

  /** Whether what was to be deleted is gone now. */
  #isDone(answer: Answer): boolean {
    if (answer.status === 202 || answer.status === 404) {
      this.#tally.acknowledged.deletes += answer.status === 202 ? 1 : 0;
      return true;
    }
    this.#tally.acknowledged.refusedDeletes += 1;
    if (!refusals.has(answer.status)) {
      this.#tally.findings.wrong(`DELETE: ${answer.status}`, {
        request: `DELETE ${answer.url.pathname}`,
        expected: '202, 404 or a refusal',
        got: textOf(answer),
      });
    }
    return false;
  }

  #wasLost(answer: Answer): void {
    this.#tally.findings.wrong('DELETE of what must be there: 404', {
      request: `DELETE ${answer.url.pathname}`,
      expected: '202',
      got: textOf(answer),
    });
  }
}

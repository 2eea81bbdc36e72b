import type { RepositoryName } from '../oci/names.ts';
import type { Actor } from '../registry/actor.ts';
import type { Purged } from '../registry/purges/purged.ts';
import { BoundedRefusals, type RefusalsParts } from './bounded-refusals.ts';

/** A push of something that a purge keeps out. */
export interface PurgeRefusal {
  readonly actor: Actor;
  readonly repo: RepositoryName;
  readonly purged: Purged;
}

/** Writes down who has tried to bring back what was purged, as far as that is bounded: clients try again and again. */
export class PurgeRefusals {
  readonly #refusals: BoundedRefusals;

  constructor(parts: RefusalsParts) {
    this.#refusals = new BoundedRefusals(parts, 'purge.refused');
  }

  record({ actor, repo, purged: { digest, purge, reason } }: PurgeRefusal): void {
    const record = purge === undefined ? 'a purge' : `purge ${purge}`;
    this.#refusals.record({ actor, repo, digest, reason: `${record} keeps it out: ${reason}` });
  }

  /** Resolves once all is written. */
  async stop(): Promise<void> {
    await this.#refusals.stop();
  }
}

import type { Action } from '../access/action.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Actor } from '../registry/actor.ts';
import { BoundedRefusals, type RefusalsParts } from './bounded-refusals.ts';

/** Something that somebody wanted to do, and may not. */
export interface AccessDenial {
  readonly actor: Actor;
  readonly action: Action;
  /** Undefined for what is not about one repository. */
  readonly repo: RepositoryName | undefined;
  /** Where it is about one. */
  readonly tag?: TagName | undefined;
  /** In words that follow "because". */
  readonly reason: string;
}

/** Writes down who was denied what, as far as that is bounded. */
export class AccessDenials {
  readonly #refusals: BoundedRefusals;

  constructor(parts: RefusalsParts) {
    this.#refusals = new BoundedRefusals(parts, 'access.denied');
  }

  record({ actor, action, repo, reason, tag }: AccessDenial): void {
    const about = { ...(repo !== undefined && { repo }), ...(tag !== undefined && { tag }) };
    this.#refusals.record({ actor, reason: `${action}: ${reason}`, ...about });
  }

  /** Tells how many were not written down one by one. */
  tellUnwritten(): void {
    this.#refusals.tellUnwritten();
  }

  /** Resolves once all is written. */
  async stop(): Promise<void> {
    await this.#refusals.stop();
  }
}

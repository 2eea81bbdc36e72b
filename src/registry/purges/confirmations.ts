import { setTimeout as sleep } from 'node:timers/promises';
import { all, change, type Operation } from '../../metadata/operation.ts';
import {
  confirmedProcesses,
  confirmPurge,
  purgesToConfirm,
  unconfirmedProcesses,
} from '../../metadata/queries/processes.ts';
import type { MetadataStore } from '../../metadata/store.ts';
import { isAmongOthers, type Processes } from '../processes.ts';
import type { PurgeErasure } from './erasure.ts';
import { evenReadOnly } from '../even-read-only.ts';
import { PurgeWaitsError } from './waits.ts';

/** How long a request waits for other processes to break off what they send, in ms; and how often it is looked meanwhile. */
const confirmation = { withinMs: 5000, lookMs: 500 };

export interface PurgeConfirmationsParts {
  readonly metadata: MetadataStore;
  readonly processes: Processes;
}

/**
 * What the processes that share the metadata say to each other of purges: each breaks off what it sends of one itself, and
 * says so; who finishes it waits for all that live.
 */
export class PurgeConfirmations {
  readonly #parts: PurgeConfirmationsParts;
  readonly #erasure: Pick<PurgeErasure, 'breakOff'>;
  /** Processes that were waited for, by the purge: of one that is gone since, nobody knows what it has broken off. */
  readonly #waitedFor = new Map<number, Set<string>>();
  /** Wakes who waits for other processes. */
  #confirmed = Promise.withResolvers<void>();
  #isStopped = false;

  constructor(parts: PurgeConfirmationsParts, erasure: Pick<PurgeErasure, 'breakOff'>) {
    this.#parts = parts;
    this.#erasure = erasure;
    parts.metadata.onAnnouncement((topic) => {
      if (topic !== 'confirmed') return;
      this.#confirmed.resolve();
      this.#confirmed = Promise.withResolvers();
    });
  }

  /** Says so of all that this process has not confirmed. */
  async confirmAll(process: string): Promise<void> {
    const { metadata } = this.#parts;
    for (const { id } of await metadata.read(() => all(purgesToConfirm, { process }))) await this.#confirm(id, process);
  }

  /** Breaks off what this process sends of a purge, and says so. */
  async #confirm(purge: number, process: string): Promise<void> {
    const { metadata } = this.#parts;
    await this.#erasure.breakOff(purge);
    await metadata.writeUnsynced(
      function* confirm(): Operation<void> {
        if (yield* isAmongOthers(process)) yield* change(confirmPurge, { purge, process });
      },
      // What is not sent any more is not sent, whatever may be changed.
      evenReadOnly,
    );
    metadata.announce('confirmed');
  }

  /** Resolves when no other process that lives may be sending anything of a purge. @throws PurgeWaitsError */
  async untilConfirmed(purge: number): Promise<void> {
    const { metadata, processes } = this.#parts;
    if (!processes.areSeveral) return;
    const deadline = performance.now() + confirmation.withinMs;
    const waitedFor = this.#waitedFor.get(purge) ?? new Set();
    this.#waitedFor.set(purge, waitedFor);
    for (;;) {
      const confirmed = this.#confirmed.promise;
      const waiting = await metadata.read(() => all(unconfirmedProcesses, { purge, process: processes.id ?? '' }));
      if (waiting.length === 0) return;
      for (const { id } of waiting) waitedFor.add(id);
      if (performance.now() >= deadline || this.#isStopped) {
        throw new PurgeWaitsError(
          `other processes have not said yet that they send none of it (${waiting.map(({ name }) => name).join(', ')}); one that has ended without a word is taken for gone within a minute`,
        );
      }
      await Promise.race([confirmed, sleep(confirmation.lookMs)]);
    }
  }

  /** Whether a process was waited for that has gone without having said what it has broken off. */
  async wasAnyGone(purge: number): Promise<boolean> {
    const waitedFor = this.#waitedFor.get(purge) ?? new Set();
    if (waitedFor.size === 0) return false;
    const confirmed = await this.#parts.metadata.read(() => all(confirmedProcesses, { purge }));
    return waitedFor.difference(new Set(confirmed.map(({ process }) => process))).size > 0;
  }

  /** A purge is finished. */
  forget(purge: number): void {
    this.#waitedFor.delete(purge);
  }

  /** Waits for nobody any more. */
  stop(): void {
    this.#isStopped = true;
  }
}

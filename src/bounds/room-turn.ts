import { change, first, type Operation } from '../metadata/operation.ts';
import { findCollectorPause } from '../metadata/queries/collector-pause.ts';
import { findRoomMaking, markRoomStep, setRoomState, takeRoomMaking } from '../metadata/queries/room-making.ts';
import { recordEvent, type RegistryEvent } from '../registry/events.ts';
import { isAmongOthers } from '../registry/processes.ts';
import type { Registry } from '../registry/registry.ts';

/** Another process makes room by now. What was about to be done was not. */
export class TurnLostError extends Error {
  override readonly name = 'TurnLostError';

  constructor() {
    super('another process makes room by now');
  }
}

/** An operator has paused the collector. What was about to be let go was not. */
export class CollectorPausedError extends Error {
  override readonly name = 'CollectorPausedError';

  constructor() {
    super('the collector is paused by now');
  }
}

/** Whose turn it is, and how things stand. */
export interface Standing {
  readonly isOurs: boolean;
  /** Whether it has become this process's turn just now. */
  readonly isNew: boolean;
  /** When something was last let go, in ms since 1970; -Infinity where nothing was. */
  readonly steppedAt: number;
  /** As whoever had the turn has left it; NULL where nobody had. */
  readonly state: string | null;
}

/**
 * A process's turn to make room. Of those that serve a registry one has it, as the database says, until it ends or its row
 * among the processes is taken away (ADR 23): then whoever looks next takes it. Whatever goes does so in a transaction that
 * sees that it still is its turn, and says when that was (`step`): so the next one waits until that shows in what is
 * measured, as this one does.
 *
 * One that has the metadata for itself always has it.
 */
export class RoomTurn {
  readonly #registry: Pick<Registry, 'metadata' | 'clock' | 'processes'>;

  constructor(registry: Pick<Registry, 'metadata' | 'clock' | 'processes'>) {
    this.#registry = registry;
  }

  /** Who has it, without taking it. */
  async look(): Promise<Standing> {
    return standingOf(await this.#registry.metadata.read(() => first(findRoomMaking, {})), false);
  }

  /** Takes it, unless another process has it. */
  async take(): Promise<Standing> {
    const { metadata, processes } = this.#registry;
    const { id } = processes;
    const found = await metadata.read(() => first(findRoomMaking, {}));
    const isFree = (row: Row | undefined): boolean =>
      row === undefined || row.process === null || !processes.areSeveral;
    // Whoever is not among the processes yet, or any more, does nothing for all.
    if (processes.areSeveral && id === null) return standingOf(found, false);
    if (found?.process === id) return standingOf(found, true);
    if (!isFree(found)) return standingOf(found, false);
    return await metadata.writeUnsynced(
      function* take(): Operation<Standing> {
        const row = yield* first(findRoomMaking, {});
        const mayTake = isFree(row) && (id === null || (yield* isAmongOthers(id)));
        if (mayTake) yield* change(takeRoomMaking, { process: id });
        return { ...standingOf(row, mayTake), isNew: mayTake };
      },
      { fromReserve: true, whileReadOnly: true },
    );
  }

  /** To be done first in each transaction by which something is let go. @throws TurnLostError, CollectorPausedError */
  *step(): Operation<void> {
    const { clock } = this.#registry;
    if ((yield* change(markRoomStep, { process: this.#holder(), now: clock.now() })) === 0) throw new TurnLostError();
    if ((yield* first(findCollectorPause, {})) !== undefined) throw new CollectorPausedError();
  }

  /** Tells how it stands, and what has happened, both or neither. @throws TurnLostError */
  async tell(state: string, events: readonly RegistryEvent[]): Promise<void> {
    const { metadata } = this.#registry;
    const process = this.#holder();
    await metadata.writeUnsynced(
      function* tell(): Operation<void> {
        if ((yield* change(setRoomState, { process, state })) === 0) throw new TurnLostError();
        for (const event of events) yield* recordEvent(event);
      },
      // Events do not come from the room kept for deletes: the log says as much.
      events.length === 0 ? { fromReserve: true, whileReadOnly: true } : {},
    );
  }

  #holder(): string | null {
    const { id, areSeveral } = this.#registry.processes;
    if (areSeveral && id === null) throw new TurnLostError();
    return id;
  }
}

interface Row {
  readonly process: string | null;
  readonly stepped_at: number | null;
  readonly state: string | null;
}

function standingOf(row: Row | undefined, isOurs: boolean): Standing {
  return { isOurs, isNew: false, steppedAt: row?.stepped_at ?? -Infinity, state: row?.state ?? null };
}

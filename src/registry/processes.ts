import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Log } from '../log/log.ts';
import { all, change, first, type Operation } from '../metadata/operation.ts';
import { beginIncarnation } from '../metadata/queries/incarnation.ts';
import { migrations } from '../metadata/migrations/all.ts';
import {
  aboutAllProcesses,
  anyByOtherPolicies,
  deleteProcess,
  deleteSilentProcess,
  findProcess,
  insertProcess,
  otherProcesses,
  renewProcess,
} from '../metadata/queries/processes.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Siblings } from './siblings.ts';

/** How often a process shows that it lives, and looks at the others, in ms. */
const beatMs = 5000;
/** After so long without having shown it, in ms, a process must expect that the others take it for gone. */
const silentMs = 30_000;
/** After so long without a beat, in ms, a process is taken for gone: longer, so that it knows before. */
const goneMs = 45_000;
/** The newest migration that this process knows. */
const newestSchema = migrations.at(-1)?.number ?? 0;
/** Who lives is nothing of what a registry that is read-only keeps as it is: it serves pulls, which purges have to know of. */
const always = { whileReadOnly: true };
const ownRow = { ...always, byOwnRows: true };

export interface ProcessesParts {
  readonly metadata: MetadataStore;
  readonly log: Log;
  /** Those that are told by other ways: where they are all that share the metadata, there is nobody else. */
  readonly siblings: Pick<Siblings, 'areAll'>;
  /** Milliseconds since some moment, which only go on: real ones, whatever time a registry believes it to be. */
  readonly monotonic?: () => number;
  /** What is shown of it; it goes by none of this. */
  readonly about?: AboutProcess | undefined;
  /** For what is shown of it, too. */
  readonly clock?: Clock;
}

/** What a process says of itself, for an operator. */
export interface AboutProcess {
  readonly version: string;
  readonly isCollecting: boolean;
  /** By which policies it goes; undefined where it has whatever it changes looked at by those of the others. */
  readonly policies?: string;
}

/** Of a process that goes by no policies, but has whatever it changes looked at by those of the others. */
const anyPolicies = '';

/**
 * This process among those that share the metadata. Each has a row, and a number in it that grows as long as it lives. No
 * clocks are compared: who sees the same number for long enough by a clock of its own takes the row away, and with it
 * goes what the process had claimed. A process that cannot show that it lives knows before, by its own clock, that
 * this may be about to happen, and ceases what others rely on (`onSilent`); so does one that finds its row gone.
 *
 * One that has the metadata for itself does nothing here.
 */
export class Processes {
  readonly #metadata: MetadataStore;
  readonly #log: Log;
  /** Whether others, whom only the metadata tells of, may share it. */
  readonly areSeveral: boolean;
  readonly #monotonic: () => number;
  readonly #name = `process ${process.pid} on ${hostname()}`;
  readonly #about: AboutProcess | undefined;
  readonly #clock: Clock;
  /** In ms since 1970. */
  readonly #since: number;
  /** Of this process's row; undefined as long as it has none. */
  #id: string | undefined;
  /** When it began to show that it lives, the last time that this succeeded. */
  #shownAt = 0;
  /** Whether it has said so in its log. */
  #isSilent = false;
  /** Whether its row was taken away, and it has not broken off yet what it was sending meanwhile. */
  #wasGone = false;
  /** Since when the others have had the same number. */
  readonly #seen = new Map<string, { readonly beat: number; readonly since: number }>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #beating: Promise<void> | undefined;
  #beatsAgain = false;
  #onBeat: () => Promise<void> = async () => {};
  #onSilent: () => Promise<void> = async () => {};

  constructor({
    metadata,
    log,
    siblings,
    monotonic = () => performance.now(),
    about,
    clock = systemClock,
  }: ProcessesParts) {
    this.areSeveral = metadata.isShared && !siblings.areAll;
    this.#metadata = metadata;
    this.#log = log;
    this.#monotonic = monotonic;
    this.#about = about;
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Under what it stands in the table; NULL as long as it does not, or where it is the only one. */
  get id(): string | null {
    return this.#id ?? null;
  }

  /** What is done whenever it has shown that it lives, or hears that there is something to do. */
  onBeat(does: () => Promise<void>): void {
    this.#onBeat = does;
  }

  /** What is done where others may take it for gone. */
  onSilent(does: () => Promise<void>): void {
    this.#onSilent = does;
  }

  /** Takes its place among the others, on the database's disk. To be called before it serves anything; by one that serves nothing, when it claims something. */
  async join(): Promise<void> {
    if (!this.areSeveral || this.#id !== undefined) return;
    const id = randomBytes(16).toString('hex');
    this.#shownAt = this.#monotonic();
    await this.#metadata.write(() => this.#joinAs(id), always);
    this.#id = id;
    this.#timer = setInterval(() => {
      this.beatSoon();
      // Also while the beat before gets no answer, not even a no.
      void this.#expectToBeGone();
    }, beatMs);
    this.#timer.unref();
    this.#metadata.onAnnouncement((topic) => {
      if (topic === 'purge') this.beatSoon();
    });
  }

  *#joinAs(id: string): Operation<void> {
    yield* change(insertProcess, this.#row(id));
    // Else the first upload of a new database would look like one of which something may be lost.
    yield* change(beginIncarnation, { id });
  }

  /** Gives its place up, once it sends nothing any more. */
  async leave(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    const id = this.#id;
    this.#id = undefined;
    if (id === undefined) return;
    try {
      await this.#metadata.writeUnsynced(() => change(deleteProcess, { id }), always);
    } catch (error) {
      this.#log.warn({ err: error }, 'the other processes could not be told that this one ends; they find out');
    }
  }

  /** Beats now, or again when the beat under way is over. */
  beatSoon(): void {
    if (this.#id === undefined) return;
    this.#beatsAgain = true;
    this.#beating ??= this.#beatOn().finally(() => {
      this.#beating = undefined;
    });
  }

  /** Beats until nothing is left to be done. */
  async #beatOn(): Promise<void> {
    while (this.#beatsAgain && this.#id !== undefined) {
      this.#beatsAgain = false;
      try {
        await this.#beat(this.#id);
      } catch (error) {
        this.#log.warn({ err: error }, 'the other processes could not be told that this one lives; trying again');
        await this.#expectToBeGone();
      }
    }
  }

  async #beat(id: string): Promise<void> {
    const begunAt = this.#monotonic();
    if ((await this.#metadata.writeUnsynced(() => change(renewProcess, { id, now: this.#clock.now() }), ownRow)) === 0)
      this.#wasGone = true;
    if (this.#wasGone) {
      // What is sent from here on purges must wait for, whatever becomes of the database: on its disk before.
      await this.#metadata.write(() => this.#takePlace(id), always);
      // Before anything else: what is purged may have been, without having waited for this process.
      await this.#beSilent();
      this.#wasGone = false;
    }
    this.#shownAt = begunAt;
    this.#isSilent = false;
    await this.#onBeat();
    await this.#takeAwayGone(id);
  }

  /** The answer to having done so before may have been lost. */
  *#takePlace(id: string): Operation<void> {
    if ((yield* first(findProcess, { id })) === undefined) yield* change(insertProcess, this.#row(id));
  }

  #row(id: string) {
    return {
      id,
      name: this.#name,
      version: this.#about?.version ?? null,
      schema: newestSchema,
      isCollecting: this.#about?.isCollecting === true ? (1 as const) : (0 as const),
      since: this.#since,
      now: this.#clock.now(),
      policies: this.#about?.policies ?? anyPolicies,
    };
  }

  /** Again and again, as what has begun to be sent meanwhile may be purged without this process, too. */
  async #expectToBeGone(): Promise<void> {
    if (this.#monotonic() - this.#shownAt < silentMs) return;
    try {
      await this.#beSilent();
    } catch (error) {
      this.#log.error({ err: error }, 'what this process was sending could not be broken off everywhere');
    }
  }

  async #beSilent(): Promise<void> {
    if (!this.#isSilent) {
      this.#log.error(
        { name: this.#name },
        'the other processes may have taken this one for gone: what it sends is broken off until they know that it lives',
      );
    }
    this.#isSilent = true;
    await this.#onSilent();
  }

  async #takeAwayGone(id: string): Promise<void> {
    const before = this.#monotonic();
    const others = await this.#metadata.read(() => all(otherProcesses, { id }));
    const after = this.#monotonic();
    const ids = new Set(others.map((other) => other.id));
    for (const seen of this.#seen.keys()) if (!ids.has(seen)) this.#seen.delete(seen);
    for (const { id: other, name, beat } of others) {
      const seen = this.#seen.get(other);
      if (seen?.beat !== beat) this.#seen.set(other, { beat, since: after });
      else if (before - seen.since >= goneMs) {
        const isTaken = await this.#metadata.writeUnsynced(
          () => change(deleteSilentProcess, { id: other, beat }),
          always,
        );
        if (isTaken > 0)
          this.#log.warn({ process: name }, 'another process has not been heard of for long: it is taken for gone');
      }
    }
  }
}

/** Whether a process still has its row. */
export function* isAmongOthers(id: string): Operation<boolean> {
  return (yield* first(findProcess, { id })) !== undefined;
}

/** Whether all processes that share the metadata go by the same policies, as far as they have any. */
export function* goByTheSame(policies: string): Operation<boolean> {
  return (yield* first(anyByOtherPolicies, { policies })) === undefined;
}

/** One of the processes that share the metadata. What it does not say, as it is of an earlier version, is undefined. */
export interface SharingProcess {
  readonly id: string;
  /** For a person: which one it is, and where. */
  readonly name: string;
  readonly version: string | undefined;
  /** The number of the newest migration that it knows. */
  readonly schema: number | undefined;
  readonly isCollecting: boolean | undefined;
  /** Since when it runs, and when it was last heard of, in ms since 1970. */
  readonly since: number | undefined;
  readonly heardAt: number | undefined;
}

/** The processes that share the metadata; none where one has it for itself. Those that were killed are there for a minute. */
export async function sharingProcesses(metadata: MetadataStore): Promise<readonly SharingProcess[]> {
  const rows = await metadata.read(() => all(aboutAllProcesses, {}));
  return rows.map(({ id, name, version, schema_number: schema, is_collecting, since, heard_at: heardAt }) => ({
    id,
    name,
    version: version ?? undefined,
    schema: schema ?? undefined,
    isCollecting: is_collecting === null ? undefined : is_collecting === 1,
    since: since ?? undefined,
    heardAt: heardAt ?? undefined,
  }));
}

// A state is a row of bytes: the database as it is, the database as a power cut would leave it, and the rest.

export const object = {
  none: 0,
  pending: 1,
  live: 2,
  condemned: 3,
  dead: 4,
  states: 7,
  open: 8,
  task: 16,
  purged: 32,
} as const;
/** A lease runs, is prolonged by an upload, or is over. */
export const lease = { over: 0, prolonged: 2, runs: 4, bits: 6 } as const;
export const link = { there: 1, task: 8 } as const;
export const manifest = {
  gone: 0,
  live: 1,
  trashed: 2,
  states: 3,
  tag: 4,
  timed: 8,
  task: 16,
  trashedTag: 32,
} as const;
export const file = { none: 0, written: 1, synced: 2, unlinked: 3, lost: 4 } as const;
export const ack = { none: 0, committed: 1, given: 2 } as const;

/** Of a blob that was purged: what T_commit asks for, what should be so, and whether the purge is still to come to its end. */
export const block = { asked: 1, stands: 2, unfinished: 4 } as const;
/** Where a purge stands, of which a crash leaves no more than what the database has. */
export const purger = { unused: 0, sync: 1, remove: 2, answerSync: 3, answered: 4, stopped: 5 } as const;

/** Where a client stands in an instruction. */
export const phase = {
  head: 0,
  headSync: 1,
  open: 2,
  claim: 3,
  create: 4,
  sync: 5,
  commit: 6,
  commitSync: 7,
  put: 8,
  putSync: 9,
  putLate: 10,
} as const;
export const phases = 16;
/** The place in the program, what is waited for, and what was promised: blobs and manifests. */
export const clientSize = 4;
export const stopped = 255;
/** Where a reclaimer stands with an object. */
export const reclaim = {
  idle: 0,
  sync: 1,
  unlink: 2,
  syncDirectory: 3,
  forget: 4,
  condemn: 5,
  deleteRow: 6,
  finishLink: 7,
  finishManifest: 8,
} as const;

/** A row of bytes, whose places layout.ts knows. */
export type State = number[];
/** Takes a step to another state, and what is wrong with it. */
export type Emit = (step: string, state: State, wrong?: string) => void;
/** Adds a step that changes the state; it says what is wrong where that shows in the step itself. */
export type Stepper = (name: string, change: (t: State) => string | undefined) => void;

/** What stands at a place. */
export function at(s: State, place: number): number {
  return s[place] ?? 0;
}

/** The numbers from 0, so many of them. */
export function range(length: number): readonly number[] {
  return Array.from({ length }, (_, index) => index);
}

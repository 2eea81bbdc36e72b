import type { Schedule } from './schedule.ts';

/** A schedule that the registry once did not stand, as it was found. */
export interface Regression {
  readonly name: string;
  readonly schedule: Schedule;
}

const day = 24 * 3_600_000;
const atOnce = { leaseMs: 0, neverTaggedMs: 0, trashMs: 0, condemnedMs: 0, uploadMs: 0 };
const refused = { images: false, indexes: false };

/** Numbers are places in the lists of universe.ts. */
export const regressions: readonly Regression[] = [
  {
    name: 'the repository of an empty index goes with it',
    schedule: {
      windows: atOnce,
      sparse: refused,
      steps: [{ step: 'push', repo: 0, manifest: 8, tags: [] }],
    },
  },
  {
    name: 'a tag that moved away and back leaves nothing in the trash for ever',
    schedule: {
      windows: { ...atOnce, trashMs: 30 * day },
      sparse: refused,
      steps: [
        { step: 'push', repo: 1, manifest: 0, tags: [0] },
        { step: 'push', repo: 1, manifest: 1, tags: [0] },
        { step: 'push', repo: 1, manifest: 0, tags: [0] },
        { step: 'collect all' },
      ],
    },
  },
  {
    name: 'a lease that began after an upload outlasts the upload',
    schedule: {
      windows: { ...atOnce, uploadMs: 30 * day },
      sparse: refused,
      steps: [
        { step: 'alone', action: { do: 'open upload', slot: 0, repo: 0 } },
        { step: 'alone', action: { do: 'let time pass', ms: 1 } },
        { step: 'push', repo: 0, manifest: 0, tags: [] },
        { step: 'collect all' },
      ],
    },
  },
  {
    name: 'a foreign layer that was deleted while its manifest was in the trash goes though the manifest comes back',
    schedule: {
      windows: { ...atOnce, trashMs: day },
      sparse: refused,
      steps: [
        { step: 'alone', action: { do: 'push blob', repo: 0, blob: 2 } },
        { step: 'push', repo: 0, manifest: 2, tags: [0] },
        { step: 'alone', action: { do: 'delete manifest', repo: 0, manifest: 2 } },
        { step: 'alone', action: { do: 'delete blob', repo: 0, blob: 2 } },
        { step: 'collect all' },
        { step: 'alone', action: { do: 'put manifest', repo: 0, manifest: 2, tags: [0] } },
      ],
    },
  },
  {
    name: 'a tag leads to what it led to last, be it that it did so for less than a millisecond',
    schedule: {
      windows: { ...atOnce, trashMs: 30 * day },
      sparse: refused,
      steps: [
        { step: 'push', repo: 0, manifest: 8, tags: [0] },
        { step: 'push', repo: 0, manifest: 0, tags: [0] },
        { step: 'alone', action: { do: 'delete tag', repo: 0, tag: 0 } },
        { step: 'alone', action: { do: 'restore', repo: 0, tag: 0, manifest: null } },
      ],
    },
  },
  {
    name: 'an index that was pushed while its child was in the trash holds the child when that is restored',
    schedule: {
      windows: { ...atOnce, trashMs: 30 * day },
      sparse: { images: false, indexes: true },
      steps: [
        { step: 'push', repo: 1, manifest: 0, tags: [] },
        { step: 'alone', action: { do: 'delete manifest', repo: 1, manifest: 0 } },
        { step: 'alone', action: { do: 'put manifest', repo: 1, manifest: 3, tags: [0] } },
        { step: 'alone', action: { do: 'restore', repo: 1, tag: null, manifest: 0 } },
        { step: 'alone', action: { do: 'delete manifest', repo: 1, manifest: 0 } },
      ],
    },
  },
  {
    name: 'a manifest that was pushed while its foreign layer was deleted holds the layer when that is restored',
    schedule: {
      windows: { ...atOnce, trashMs: 30 * day },
      sparse: refused,
      steps: [
        { step: 'push', repo: 0, manifest: 0, tags: [0] },
        { step: 'alone', action: { do: 'delete manifest', repo: 0, manifest: 0 } },
        { step: 'alone', action: { do: 'delete blob', repo: 0, blob: 2 } },
        { step: 'push', repo: 0, manifest: 2, tags: [1] },
        { step: 'alone', action: { do: 'restore', repo: 0, tag: null, manifest: 0 } },
        { step: 'alone', action: { do: 'delete manifest', repo: 0, manifest: 0 } },
        { step: 'alone', action: { do: 'delete blob', repo: 0, blob: 2 } },
      ],
    },
  },
  {
    name: 'an upload keeps nothing that went for room after its lease had ended',
    schedule: {
      windows: { ...atOnce, uploadMs: 30 * day },
      sparse: refused,
      steps: [
        { step: 'push', repo: 1, manifest: 0, tags: [0] },
        { step: 'alone', action: { do: 'let time pass', ms: 1 } },
        { step: 'alone', action: { do: 'open upload', slot: 0, repo: 1 } },
        { step: 'retire', place: 0, meanwhile: [], isForRoom: true, as: 'alone' },
        { step: 'collect all' },
      ],
    },
  },
  {
    name: 'a session that has ended with something else tells of the purge of what it is to be ended with',
    schedule: {
      windows: { ...atOnce, uploadMs: 60_000 },
      sparse: refused,
      steps: [
        { step: 'while collecting', action: { do: 'purge', kind: 'blob', place: 3 } },
        { step: 'slow push', repo: 0, manifest: 0, tags: [], ms: 1 },
        { step: 'alone', action: { do: 'close upload', slot: 0, blob: 3 } },
        { step: 'alone', action: { do: 'head blob', repo: 0, blob: 0 } },
      ],
    },
  },
  {
    name: 'an upload that is over before anybody looks has had the review of a link put off',
    schedule: {
      windows: { ...atOnce, leaseMs: 30 * day },
      sparse: refused,
      steps: [
        { step: 'push', repo: 1, manifest: 0, tags: [] },
        { step: 'delete', place: 0 },
        { step: 'delete', place: 0 },
        { step: 'alone', action: { do: 'let time pass', ms: 30 * day } },
        { step: 'while collecting', action: { do: 'open upload', slot: 0, repo: 1 } },
        { step: 'slow push', repo: 0, manifest: 0, tags: [], ms: 1 },
      ],
    },
  },
  {
    name: 'an index that was pushed while what it lists was in the trash goes with that when it is purged',
    schedule: {
      windows: atOnce,
      sparse: { images: false, indexes: true },
      steps: [
        { step: 'push', repo: 0, manifest: 3, tags: [] },
        { step: 'delete', place: 0 },
        { step: 'alone', action: { do: 'put manifest', repo: 0, manifest: 4, tags: [] } },
        { step: 'alone', action: { do: 'purge', kind: 'blob', place: 0 } },
        { step: 'undo', place: 0 },
      ],
    },
  },
];

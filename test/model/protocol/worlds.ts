import type { Instruction, ManifestShape, SmallWorld } from './small-world.ts';

// Small worlds that show everything that the protocol is about. Each is explored in every order of its steps.

const image: ManifestShape = { name: 'image', blobs: [0], children: [], subject: undefined };
const uploads: Instruction = { do: 'blob', blob: 0 };
const tags = (manifest: number): Instruction => ({ do: 'tag', manifest });
const pushesChild = (manifest: number): Instruction => ({ do: 'child', manifest });
const tagDelete = (manifest: number) => ({ what: 'tag', manifest }) as const;
const manifestDelete = (manifest: number) => ({ what: 'manifest', manifest }) as const;

const oneImage: SmallWorld = {
  name: 'an image that is deleted by tag and by digest, restored and pushed again, and a crash',
  blobs: 1,
  manifests: [image],
  tagged: [0],
  clients: [[uploads, tags(0)]],
  reclaimers: 1,
  deletes: [tagDelete(0), manifestDelete(0)],
  undoes: [0],
  crashes: 1,
};

const index: readonly ManifestShape[] = [
  { name: 'child 0', blobs: [0], children: [], subject: undefined },
  { name: 'child 1', blobs: [0], children: [], subject: undefined },
  { name: 'index', blobs: [], children: [0, 1], subject: undefined },
];

const subject: ManifestShape = { name: 'subject', blobs: [0], children: [], subject: undefined };
const referrer: ManifestShape = { name: 'referrer', blobs: [0], children: [], subject: 0 };
const selfish: ManifestShape = { name: 'index of its subject', blobs: [], children: [0], subject: 0 };

/** Those that are explored with every run of the tests. */
export const worlds: readonly SmallWorld[] = [
  oneImage,
  {
    ...oneImage,
    name: 'an empty registry, a push, a delete, two reclaimers and a crash',
    tagged: undefined,
    undoes: [],
    reclaimers: 2,
  },
  {
    ...oneImage,
    name: 'two pushes of one image into an empty registry, and a delete',
    tagged: undefined,
    clients: [
      [uploads, tags(0)],
      [uploads, tags(0)],
    ],
    deletes: [tagDelete(0)],
    undoes: [],
    crashes: 0,
  },
  {
    name: 'an image of two blobs, pushed into an empty registry while leases end',
    blobs: 2,
    manifests: [{ name: 'image', blobs: [0, 1], children: [], subject: undefined }],
    tagged: undefined,
    clients: [[uploads, { do: 'blob', blob: 1 }, tags(0)]],
    reclaimers: 1,
    deletes: [],
    undoes: [],
    crashes: 0,
  },
  {
    name: 'an index whose children share a blob, deletes of each, and a push of it',
    blobs: 1,
    manifests: index,
    tagged: [2],
    clients: [[pushesChild(0), pushesChild(1), tags(2)]],
    reclaimers: 1,
    deletes: [tagDelete(2), manifestDelete(2), manifestDelete(0)],
    undoes: [],
    crashes: 0,
  },
  {
    name: 'an index whose children share a blob, pushed into an empty registry, and a crash',
    blobs: 1,
    manifests: index,
    tagged: undefined,
    clients: [[uploads, pushesChild(0), pushesChild(1), tags(2)]],
    reclaimers: 1,
    deletes: [],
    undoes: [],
    crashes: 1,
  },
  {
    name: 'an index that is deleted and restored, and its child',
    blobs: 1,
    manifests: [
      { name: 'child', blobs: [0], children: [], subject: undefined },
      { name: 'index', blobs: [], children: [0], subject: undefined },
    ],
    tagged: [1],
    clients: [],
    reclaimers: 1,
    deletes: [manifestDelete(1), manifestDelete(0), tagDelete(1)],
    undoes: [1],
    crashes: 1,
  },
  {
    name: 'a referrer and its subject, deletes of both, and a push of the subject',
    blobs: 1,
    manifests: [subject, referrer],
    tagged: [0],
    clients: [[uploads, tags(0)]],
    reclaimers: 1,
    deletes: [tagDelete(0), manifestDelete(1)],
    undoes: [],
    crashes: 0,
  },
  {
    name: 'an index that lists its own subject (R50), deletes of both, and a restore',
    blobs: 1,
    manifests: [subject, selfish],
    tagged: [0, 1],
    clients: [],
    reclaimers: 1,
    deletes: [tagDelete(0), tagDelete(1), manifestDelete(1)],
    undoes: [1],
    crashes: 1,
  },
];

/** Those with a purge, which are explored with every run of the tests too. */
export const purgedWorlds: readonly SmallWorld[] = [
  {
    ...oneImage,
    name: 'an image that is purged while it is pushed and deleted, and may come again once that is lifted, and a crash',
    deletes: [tagDelete(0)],
    undoes: [],
    purges: [0],
    lifts: true,
  },
  {
    name: 'an index of two images that share a blob, of which the blob of one is purged, with a referrer, and a crash',
    blobs: 2,
    manifests: [
      { name: 'purged', blobs: [0, 1], children: [], subject: undefined },
      { name: 'spared', blobs: [1], children: [], subject: undefined },
      { name: 'index', blobs: [], children: [0, 1], subject: undefined },
      { name: 'referrer', blobs: [1], children: [], subject: 0 },
    ],
    tagged: [1, 2],
    clients: [],
    reclaimers: 1,
    deletes: [tagDelete(1)],
    undoes: [],
    crashes: 1,
    purges: [0],
  },
];

/** Those that take longer. */
export const largerWorlds: readonly SmallWorld[] = [
  {
    ...oneImage,
    name: 'two pushes of an image that is deleted',
    clients: [
      [uploads, tags(0)],
      [uploads, tags(0)],
    ],
    deletes: [tagDelete(0)],
    undoes: [],
    crashes: 0,
  },
  {
    name: 'an index whose children share a blob, deletes of each, and a push of everything',
    blobs: 1,
    manifests: index,
    tagged: [2],
    clients: [[uploads, pushesChild(0), pushesChild(1), tags(2)]],
    reclaimers: 1,
    deletes: [tagDelete(2), manifestDelete(0)],
    undoes: [2],
    crashes: 0,
  },
];

import * as fc from 'fast-check';
import type { SparsePolicy, Windows } from '../../src/registry/registry.ts';
import { blobs, manifests, repositories, tags } from './universe.ts';

// Numbers are places in the lists of universe.ts, so that a schedule can be written down, and is easy to shrink.

/** Null for what an action does not name. */
export type Place = number | null;

/** What a client or an operator does, or what happens. */
export type Action =
  | { readonly do: 'push blob'; readonly repo: number; readonly blob: number }
  | { readonly do: 'open upload'; readonly slot: number; readonly repo: number }
  /** Sends the first bytes of a blob, or the next ones. */
  | { readonly do: 'send chunk'; readonly slot: number; readonly blob: number }
  | { readonly do: 'close upload'; readonly slot: number; readonly blob: number }
  | { readonly do: 'cancel upload'; readonly slot: number }
  | { readonly do: 'head blob'; readonly repo: number; readonly blob: number }
  | { readonly do: 'mount'; readonly repo: number; readonly from: number; readonly blob: number }
  | { readonly do: 'delete blob'; readonly repo: number; readonly blob: number }
  | { readonly do: 'put manifest'; readonly repo: number; readonly manifest: number; readonly tags: readonly number[] }
  | { readonly do: 'head manifest'; readonly repo: number; readonly manifest: number }
  | { readonly do: 'head tag'; readonly repo: number; readonly tag: number }
  | { readonly do: 'pull'; readonly repo: number; readonly manifest: number; readonly isWritten: boolean }
  | { readonly do: 'delete manifest'; readonly repo: number; readonly manifest: number }
  | { readonly do: 'delete tag'; readonly repo: number; readonly tag: number }
  /** As a retention policy looks at it, before it goes. */
  | { readonly do: 'judge tag'; readonly repo: number; readonly tag: number }
  /** A tag that was judged is to go, if nothing has happened to it since. */
  | { readonly do: 'retire tag'; readonly repo: number; readonly tag: number; readonly isForRoom: boolean }
  | { readonly do: 'restore'; readonly repo: number; readonly tag: Place; readonly manifest: Place }
  | ({ readonly do: 'empty trash'; readonly isTrial: boolean } & {
      readonly [part in 'repo' | 'tag' | 'manifest']: Place;
    })
  | {
      readonly do: 'pin';
      readonly repo: number;
      readonly tag: Place;
      readonly manifest: Place;
      readonly reason: number;
    }
  | { readonly do: 'unpin'; readonly repo: number; readonly tag: Place; readonly manifest: Place }
  /** Of a blob or a manifest, by its place among those. */
  | { readonly do: 'purge' | 'lift'; readonly kind: 'blob' | 'manifest'; readonly place: number }
  | { readonly do: 'collect'; readonly reviews: number }
  | { readonly do: 'let time pass'; readonly ms: number };

export type Step =
  | { readonly step: 'alone'; readonly action: Action }
  /** The collector is at work meanwhile. */
  | { readonly step: 'while collecting'; readonly action: Action }
  /** The process is killed so many turns of the event loop after it has begun the action. */
  | { readonly step: 'killed'; readonly action: Action; readonly turns: number }
  /** An orderly stop, and a start. */
  | { readonly step: 'restart' }
  /** All that the collector has to do by now. */
  | { readonly step: 'collect all' }
  /** Something that can be deleted is: by its place among all that can, counted round and round. */
  | { readonly step: 'delete'; readonly place: number }
  /** A tag that is there is judged, and retired after all of this has happened; in the same way. */
  | {
      readonly step: 'retire';
      readonly place: number;
      readonly meanwhile: readonly Meanwhile[];
      readonly isForRoom: boolean;
      readonly as: 'alone' | 'while collecting' | 'killed';
    }
  /** Something that is in the trash is restored, in the same way. */
  | { readonly step: 'undo'; readonly place: number }
  /** The trash is emptied of something that is in it, and of all that has its repository, tag or digest. */
  | { readonly step: 'empty'; readonly place: number; readonly by: 'repository' | 'tag' | 'digest' | 'both' }
  /** What a client does to push an image: asks for each part, and pushes those that are not there. */
  | { readonly step: 'push'; readonly repo: number; readonly manifest: number; readonly tags: readonly number[] }
  /** The same, while the upload of the last blob takes its time, and the collector is at work. */
  | {
      readonly step: 'slow push';
      readonly repo: number;
      readonly manifest: number;
      readonly tags: readonly number[];
      readonly ms: number;
    };

/** What happens to a tag, or what it leads to, between its being judged and its going. */
export type Meanwhile = (typeof meanwhiles)[number];

const meanwhiles = [
  'time passes',
  'it is pulled',
  'a child is pulled',
  'it is asked for',
  'it is pushed again',
  'it is deleted and pushed',
  'it is pinned',
  'its manifest is pinned',
] as const;

export interface Schedule {
  readonly windows: Windows;
  readonly sparse: SparsePolicy;
  readonly steps: readonly Step[];
}

export const slots = 3;
const minute = 60_000;
const day = 24 * 60 * minute;

const blobsOf = (place: number): number => manifests[place]?.blobs.length ?? 0;
const placeIn = (list: readonly unknown[]): fc.Arbitrary<number> => fc.nat(list.length - 1);
const repo = placeIn(repositories);
const blob = placeIn(blobs);
const manifest = placeIn(manifests);
const withSeveralBlobs = fc.constantFrom(...manifests.keys().filter((place) => blobsOf(place) > 1));
const tag = placeIn(tags);
const slot = fc.nat(slots - 1);
const someTags = fc.uniqueArray(tag, { maxLength: 2 });

const perhaps = (place: fc.Arbitrary<number>): fc.Arbitrary<Place> => fc.option(place, { nil: null });
const partOfTrash = { repo: perhaps(repo), tag: perhaps(tag), manifest: perhaps(manifest) };
const time = fc.constantFrom(1, 15_000, minute - 1, minute, 10 * minute, 7 * day, 30 * day);
/** A tag where one is named, else a manifest, else the repository. */
const pinned = { tag: perhaps(tag), manifest: perhaps(manifest) };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('push blob'), repo, blob }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('open upload'), slot, repo }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('send chunk'), slot, blob }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('close upload'), slot, blob }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel upload'), slot }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('head blob'), repo, blob }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mount'), repo, from: repo, blob }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete blob'), repo, blob }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put manifest'), repo, manifest, tags: someTags }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('head manifest'), repo, manifest }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('head tag'), repo, tag }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pull'), repo, manifest, isWritten: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete manifest'), repo, manifest }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delete tag'), repo, tag }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('judge tag'), repo, tag }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('retire tag'), repo, tag, isForRoom: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restore'), repo, tag, manifest: perhaps(manifest) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restore'), repo, tag: fc.constant(null), manifest }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('empty trash'), isTrial: fc.boolean(), ...partOfTrash }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pin'), repo, ...pinned, reason: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('unpin'), repo, ...pinned }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('purge'), kind: fc.constant('blob'), place: blob }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('purge'), kind: fc.constant('manifest'), place: manifest }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('lift'), kind: fc.constant('blob'), place: blob }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('lift'), kind: fc.constant('manifest'), place: manifest }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('collect'), reviews: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('let time pass'),
      ms: time,
    }),
  },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 60, arbitrary: fc.record({ step: fc.constant('alone'), action }) },
  { weight: 12, arbitrary: fc.record({ step: fc.constant('while collecting'), action }) },
  { weight: 2, arbitrary: fc.record({ step: fc.constant('killed'), action, turns: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('restart') }) },
  { weight: 6, arbitrary: fc.record({ step: fc.constant('collect all') }) },
  { weight: 8, arbitrary: fc.record({ step: fc.constant('delete'), place: fc.nat(30) }) },
  { weight: 8, arbitrary: fc.record({ step: fc.constant('undo'), place: fc.nat(30) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      step: fc.constant('retire'),
      place: fc.nat(30),
      meanwhile: fc.array(fc.constantFrom(...meanwhiles), { maxLength: 2 }),
      isForRoom: fc.boolean(),
      as: fc.constantFrom('alone', 'alone', 'alone', 'while collecting', 'killed'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constant('empty'),
      place: fc.nat(30),
      by: fc.constantFrom('repository', 'tag', 'digest', 'both'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constant('slow push'),
      repo,
      manifest: withSeveralBlobs,
      tags: someTags,
      ms: time,
    }),
  },
  { weight: 10, arbitrary: fc.record({ step: fc.constant('push'), repo, manifest, tags: someTags }) },
);

const window = fc.constantFrom(0, 1, minute, 30 * day);

export const schedules: fc.Arbitrary<Schedule> = fc.record({
  windows: fc.record({
    leaseMs: window,
    neverTaggedMs: window,
    trashMs: window,
    condemnedMs: window,
    uploadMs: window,
  }),
  sparse: fc.oneof(
    { weight: 2, arbitrary: fc.constant({ images: false, indexes: false }) },
    { weight: 1, arbitrary: fc.record({ images: fc.boolean(), indexes: fc.boolean() }) },
  ),
  steps: fc.array(step, { minLength: 1, maxLength: 250, size: 'max' }),
});

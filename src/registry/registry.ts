import type { BlobStore } from '../blobs/store.ts';
import type { Log } from '../log/log.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Clock } from './clock.ts';
import type { IdGenerator } from './id-generator.ts';
import type { Immutability } from './immutability.ts';
import type { PullRules } from './puller.ts';
import type { PullRecorder } from './pull-recorder.ts';
import type { Processes } from './processes.ts';
import type { PurgeFinisher } from './purges/finisher.ts';
import type { QuotasInForce } from './quotas.ts';
import type { RecentManifests } from './manifests/recent.ts';
import type { Reclaimer } from './reclaimer.ts';
import type { Responses } from './responses.ts';
import type { RetentionScope } from './retention-review.ts';
import type { Siblings } from './siblings.ts';
import type { Room } from './room.ts';
import type { UploadSessions } from './uploads/sessions.ts';

/** How long things stay put, in ms (design.md, Windows). */
export interface Windows {
  readonly leaseMs: number;
  readonly neverTaggedMs: number;
  readonly trashMs: number;
  readonly condemnedMs: number;
  readonly uploadMs: number;
  /** How long it is remembered what was pushed, removed and pulled; not at all where it is 0 or not given. */
  readonly historyMs?: number;
}

/** Whether manifests may refer to content that was never pushed. */
export interface SparsePolicy {
  readonly images: boolean;
  readonly indexes: boolean;
}

/** Whoever counts the bytes of manifests and blobs that come and go. */
export interface Traffic {
  pulled(sizeBytes: number): void;
  pushed(sizeBytes: number): void;
}

/**
 * What the operations of this folder work on. Each operation is a function in the file of its name that takes a
 * registry first; it knows nothing of HTTP, nor of the databases' dialects.
 */
export interface Registry {
  readonly metadata: MetadataStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly windows: Windows;
  readonly sparse: SparsePolicy;
  readonly quotas: QuotasInForce;
  readonly immutability: Immutability;
  readonly log: Log;
  readonly traffic: Traffic;
  readonly room: Room;
  readonly sessions: UploadSessions;
  readonly recentManifests: RecentManifests;
  readonly pulls: PullRecorder;
  readonly pullRules: PullRules;
  readonly reclaimer: Reclaimer;
  readonly responses: Responses;
  readonly siblings: Siblings;
  readonly processes: Processes;
  readonly purges: PurgeFinisher;
  readonly retention: RetentionScope;
}

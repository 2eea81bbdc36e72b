import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import { PolicyPullRules } from '../pruning/pull-rules.ts';
import type { Clock } from '../registry/clock.ts';
import { randomIds } from '../registry/id-generator.ts';
import { type Immutability, noImmutability } from '../registry/immutability.ts';
import { type AboutProcess, Processes } from '../registry/processes.ts';
import { PullRecorder } from '../registry/pull-recorder.ts';
import { everyGet } from '../registry/puller.ts';
import { PurgeFinisher } from '../registry/purges/finisher.ts';
import { noQuotas, type QuotasInForce } from '../registry/quotas.ts';
import { RecentManifests } from '../registry/manifests/recent.ts';
import { Reclaimer } from '../registry/reclaimer.ts';
import type { Registry, Traffic } from '../registry/registry.ts';
import { Responses } from '../registry/responses.ts';
import { noRetention, type RetentionScope } from '../registry/retention-review.ts';
import { type Room, unboundedRoom } from '../registry/room.ts';
import { noSiblings, type Siblings } from '../registry/siblings.ts';
import { UploadSessions } from '../registry/uploads/sessions.ts';
import { hearOfWriters } from '../registry/uploads/writers.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import type { Stores } from '../stores/stores.ts';

export interface RegistryParts {
  readonly stores: Stores;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly traffic: Traffic;
  /** Other processes that serve the same registry; none where it is not given. */
  readonly siblings?: Siblings | undefined;
  /** What is shown of this process. */
  readonly about?: AboutProcess | undefined;
  /** What has to be told of changes; undefined where nothing is pruned by itself. */
  readonly retention?: RetentionScope | undefined;
  /** By which it is decided whose pulls count; undefined where everybody's do. */
  readonly policies?: PolicySet | undefined;
  /** None where it is not given: for what neither adds nor removes anything. */
  readonly quotas?: QuotasInForce;
  readonly immutability?: Immutability | undefined;
  /** Unbounded where it is not given: nothing is uploaded. */
  readonly room?: Room;
}

/** Puts a registry together from its parts. */
export function registryOf({
  stores,
  config,
  clock,
  log,
  traffic,
  siblings = noSiblings,
  about,
  policies,
  quotas = noQuotas,
  immutability = noImmutability,
  retention = noRetention,
  room = unboundedRoom,
}: RegistryParts): Registry {
  const { metadata, blobs, generation } = stores;
  const responses = new Responses();
  const sessions = new UploadSessions();
  hearOfWriters(siblings, sessions);
  const pulls = new PullRecorder({
    metadata,
    clock,
    log,
    retention,
    keepsHistory: config.pulls.historyMs > 0,
    siblings,
  });
  const processes = new Processes({ metadata, log, siblings, about, clock });
  return {
    metadata,
    blobs,
    clock,
    ids: randomIds,
    windows: { ...config.windows, historyMs: config.pulls.historyMs },
    sparse: config.manifests.sparse,
    quotas,
    immutability,
    log,
    traffic,
    room,
    sessions,
    recentManifests: new RecentManifests(metadata),
    pulls,
    pullRules: policies === undefined ? everyGet : new PolicyPullRules(policies),
    reclaimer: new Reclaimer({ metadata, blobs, clock, log, generation }),
    responses,
    siblings,
    processes,
    purges: new PurgeFinisher({
      metadata,
      blobs,
      clock,
      log,
      generation,
      responses,
      siblings,
      pulls,
      immutability,
      processes,
    }),
    retention,
  };
}

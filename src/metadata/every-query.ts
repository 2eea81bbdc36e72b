import type { Dialect } from './dialect.ts';
import * as announcedEnds from './queries/announced-ends.ts';
import * as auditFiles from './queries/audit-files.ts';
import * as begun from './queries/begun.ts';
import * as collectorPause from './queries/collector-pause.ts';
import * as events from './queries/events.ts';
import * as find from './queries/find.ts';
import * as history from './queries/history.ts';
import * as holds from './queries/holds.ts';
import * as incarnation from './queries/incarnation.ts';
import * as links from './queries/links.ts';
import * as manifests from './queries/manifests.ts';
import * as objects from './queries/objects.ts';
import * as oldTrash from './queries/old-trash.ts';
import * as outlook from './queries/outlook.ts';
import * as pins from './queries/pins.ts';
import * as policyApprovals from './queries/policy-approvals.ts';
import * as processes from './queries/processes.ts';
import * as prunedHours from './queries/pruned-hours.ts';
import * as pruningPause from './queries/pruning-pause.ts';
import * as purgeCheck from './queries/purge-check.ts';
import * as purgeConsequences from './queries/purge-consequences.ts';
import * as purgePlaces from './queries/purge-places.ts';
import * as purgeQuarantine from './queries/purge-quarantine.ts';
import * as purgedPlaces from './queries/purged-places.ts';
import * as purgedPulls from './queries/purged-pulls.ts';
import * as purgePlan from './queries/purge-plan.ts';
import * as purgeRemovals from './queries/purge-removals.ts';
import * as purges from './queries/purges.ts';
import * as quotas from './queries/quotas.ts';
import * as refreshTokens from './queries/refresh-tokens.ts';
import * as removals from './queries/removals.ts';
import * as repositories from './queries/repositories.ts';
import * as retentionReviews from './queries/retention-reviews.ts';
import * as retention from './queries/retention.ts';
import * as robots from './queries/robots.ts';
import * as signingKeys from './queries/signing-keys.ts';
import * as readOnly from './queries/read-only.ts';
import * as roomMaking from './queries/room-making.ts';
import * as rulesInForce from './queries/rules-in-force.ts';
import * as storageSamples from './queries/storage-samples.ts';
import * as store from './queries/store.ts';
import * as stored from './queries/stored.ts';
import * as tags from './queries/tags.ts';
import * as tasks from './queries/tasks.ts';
import * as trash from './queries/trash.ts';
import * as uploads from './queries/uploads.ts';
import * as usage from './queries/usage.ts';
import type { CompiledQuery } from './query.ts';

export interface NamedQuery {
  /** Such as `tags.tagTarget`. */
  readonly name: string;
  compiled(dialect: Dialect): CompiledQuery;
}

interface Compiles {
  compiled(dialect: Dialect): CompiledQuery;
}

const files = {
  'announced-ends': announcedEnds,
  'audit-files': auditFiles,
  begun,
  'collector-pause': collectorPause,
  events,
  find,
  history,
  holds,
  incarnation,
  links,
  manifests,
  objects,
  'old-trash': oldTrash,
  outlook,
  pins,
  'policy-approvals': policyApprovals,
  processes,
  'pruned-hours': prunedHours,
  'pruning-pause': pruningPause,
  'purge-check': purgeCheck,
  'purge-consequences': purgeConsequences,
  'purge-places': purgePlaces,
  'purge-quarantine': purgeQuarantine,
  'purged-places': purgedPlaces,
  'purged-pulls': purgedPulls,
  'purge-plan': purgePlan,
  'purge-removals': purgeRemovals,
  purges,
  quotas,
  'refresh-tokens': refreshTokens,
  'read-only': readOnly,
  removals,
  repositories,
  retention,
  'retention-reviews': retentionReviews,
  robots,
  'signing-keys': signingKeys,
  'room-making': roomMaking,
  'rules-in-force': rulesInForce,
  'storage-samples': storageSamples,
  store,
  stored,
  tags,
  tasks,
  trash,
  uploads,
  usage,
};

/** Every query of `queries/`: for tests of what must hold for all of them. */
export const everyQuery: readonly NamedQuery[] = Object.entries(files).flatMap(([file, queries]) =>
  Object.entries<Compiles>(queries).map(([name, query]) => ({
    name: `${file}.${name}`,
    compiled: (dialect: Dialect) => query.compiled(dialect),
  })),
);

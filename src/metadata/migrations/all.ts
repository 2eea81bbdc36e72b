import { registryTables } from './0001-registry.ts';
import { fewerPages } from './0002-fewer-pages.ts';
import { collectorTables } from './0003-collector.ts';
import { administration } from './0004-administration.ts';
import { storeGeneration } from './0005-store-generation.ts';
import { foreignKeyIndexes } from './0006-foreign-key-indexes.ts';
import { orderOfTheTrash } from './0007-order-of-the-trash.ts';
import { uploadsThatEnded } from './0008-uploads-that-ended.ts';
import { retentionReviews } from './0009-retention-reviews.ts';
import { storedSizes } from './0010-stored-sizes.ts';
import { quotas } from './0011-quotas.ts';
import { history } from './0012-history.ts';
import { storageBounds } from './0013-storage-bounds.ts';
import { credentials } from './0014-credentials.ts';
import { audit } from './0015-audit.ts';
import { purges } from './0016-purge.ts';
import { purgesToldInFull } from './0017-purges-told-in-full.ts';
import { purgeConsequences } from './0018-purge-consequences.ts';
import { sessionsOfAClient } from './0019-sessions-of-a-client.ts';
import { severalProcesses } from './0020-several-processes.ts';
import { progressOfUploads } from './0021-progress-of-uploads.ts';
import { readOnly } from './0022-read-only.ts';
import { processes } from './0023-processes.ts';
import { closingOfUploads } from './0024-closing-of-uploads.ts';
import { registryIdentity } from './0025-registry-identity.ts';
import { aboutProcesses } from './0026-about-processes.ts';
import { sharedPruning } from './0027-shared-pruning.ts';
import { doneOnce } from './0028-done-once.ts';
import { quotaSet } from './0029-quota-set.ts';
import { incarnations } from './0030-incarnations.ts';
import type { Migration } from './migration.ts';

/** Every migration, in the order in which they run. */
export const migrations: readonly Migration[] = [
  registryTables,
  fewerPages,
  collectorTables,
  administration,
  storeGeneration,
  foreignKeyIndexes,
  orderOfTheTrash,
  uploadsThatEnded,
  retentionReviews,
  storedSizes,
  quotas,
  history,
  storageBounds,
  credentials,
  audit,
  purges,
  purgesToldInFull,
  purgeConsequences,
  sessionsOfAClient,
  severalProcesses,
  progressOfUploads,
  readOnly,
  processes,
  closingOfUploads,
  registryIdentity,
  aboutProcesses,
  sharedPruning,
  doneOnce,
  quotaSet,
  incarnations,
];

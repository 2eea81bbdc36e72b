import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import { everyQuery, type NamedQuery } from './every-query.ts';
import { dialects } from './query.ts';
import { migrate } from './sqlite/migrate.ts';

const database = new Database(':memory:');
// So that the plans have the checks of foreign keys in them.
database.run('pragma foreign_keys = on');
migrate(database);
afterAll(() => database.close());

function planOf(sql: string, bindings: readonly (string | number | null)[] = []): readonly string[] {
  const statement = database.prepare<{ detail: string }, (string | number | null)[]>(`explain query plan ${sql}`);
  try {
    return statement.all(...bindings).map(({ detail }) => detail);
  } finally {
    statement.finalize();
  }
}

/** The planner looks at the values bound, so constants are bound as they are and parameters as lists would be. */
function planOfQuery(query: NamedQuery): readonly string[] {
  const { sql, bindings } = query.compiled(dialects.sqlite);
  return planOf(
    sql,
    bindings.map((binding) => {
      if ('parameter' in binding) return '[]';
      return typeof binding.constant === 'string' || typeof binding.constant === 'number' ? binding.constant : null;
    }),
  );
}

/**
 * Whether a step of a plan reads more rows the more the registry holds: a scan, or a search that knows no more than the
 * repository, or only where to begin. Reading through a list that was passed in is no such step.
 */
function growsWithTheRegistry(step: string): boolean {
  if (step.startsWith('SCAN json_each')) return false;
  if (step.startsWith('SCAN ')) return true;
  if (!step.startsWith('SEARCH ')) return false;
  const known = /\((?<terms>[^()]*)\)$/.exec(step)?.groups?.['terms']?.split(' AND ') ?? [];
  return known.filter((term) => term.endsWith('=?') && term !== 'repo=?').length === 0;
}

/** Queries that may read more than what they are asked about, and why that is fine. */
const exceptions: Readonly<Record<string, { readonly reason: string; readonly steps: readonly string[] }>> = {
  'uploads.countOpenUploads': {
    reason: 'counts the index of open uploads, which holds nothing else; for the metrics, and the record of a purge',
    steps: ['SEARCH upload USING COVERING INDEX upload_object (oid>?)'],
  },
  'uploads.deleteOpenUploads': {
    reason: 'all open uploads, by their index; once, when a database has been restored',
    steps: ['SEARCH upload USING INDEX upload_object (oid>?)'],
  },
  'tasks.deleteTasksOfOpenUploads': {
    reason: 'all open uploads, by their index; once, when a database has been restored',
    steps: ['SEARCH upload USING COVERING INDEX upload_object (oid>?)'],
  },
  'tasks.deleteTasksOfPendingObjects': {
    reason: 'all objects; once, when a database has been restored, while nobody uses it',
    steps: ['SCAN object'],
  },
  'objects.deletePendingObjects': {
    reason: 'all objects; once, when a database has been restored, while nobody uses it',
    steps: ['SCAN object'],
  },
  'rules-in-force.rulesInForce': {
    reason: 'a row for each kind of rule of the configuration; at the start only',
    steps: ['SCAN rules_in_force'],
  },
  'begun.begunState': {
    reason: 'one row of two that are looked up',
    steps: ['SCAN CONSTANT ROW'],
  },
  'tags.anotherTagBetween': {
    reason: 'no more than two of the tags in the order of the key',
    steps: ['SEARCH tag USING PRIMARY KEY (repo=? AND name>? AND name<?)'],
  },
  'tags.listTags': {
    reason: 'a page of the tag list, in the order of the key: as many rows as the page has',
    steps: ['SEARCH tag USING PRIMARY KEY (repo=? AND name>?)'],
  },
  'repositories.listRepositories': {
    reason: 'a page of the catalog, in the order of the key, each repository with one probe for a visible manifest',
    steps: [
      'SEARCH repository USING PRIMARY KEY (name>? AND name<?)',
      'SEARCH manifest EXISTS USING INDEX sqlite_autoindex_manifest_2 (repo=? AND live_digest>?)',
    ],
  },
  'holds.anyUploadBegunBy': {
    reason: 'one probe: any upload of the repository that began before a time',
    steps: ['SEARCH upload USING INDEX upload_open (repo=? AND opened_at<?)'],
  },
  'holds.anyUploadEndedSince': {
    reason: 'any upload of the repository that has ended within the last hour, in an index that says when it began',
    steps: ['SEARCH upload USING COVERING INDEX upload_ended (repo=? AND touched_at>?)'],
  },
  'removals.deleteEmptyRepository': {
    reason: 'two probes: whether there is any row of the repository; once more by its foreign keys where there is none',
    steps: [
      'SEARCH link USING PRIMARY KEY (repo=?)',
      'SEARCH manifest USING COVERING INDEX sqlite_autoindex_manifest_1 (repo=?)',
      'SEARCH manifest USING COVERING INDEX sqlite_autoindex_manifest_2 (repo=?)',
      'SEARCH link USING PRIMARY KEY (repo=?)',
    ],
  },
  'find.liveObjectsAfter': {
    reason: 'a page of the live objects, in the order of their digests: as many rows as the page has',
    steps: ['SEARCH object USING INDEX sqlite_autoindex_object_2 (live_digest>?)'],
  },
  'tasks.dueTasks': {
    reason: 'a batch of the queue, in the order of its index: as many rows as were asked for',
    steps: ['SEARCH task USING INDEX task_due (due_at<?)'],
  },
  'tasks.claimTasks': {
    reason: 'a batch of the queue, in the order of its index: as many rows as were asked for',
    steps: ['SEARCH due USING INDEX task_due (due_at<?)'],
  },
  'tasks.nextTask': {
    reason: 'the first row of the queue, in the order of its index',
    steps: ['SCAN task USING COVERING INDEX task_due'],
  },
  'tasks.dueFigures': {
    reason: 'counts the beginning of the queue, up to a limit; for the metrics only',
    steps: ['SEARCH task USING COVERING INDEX task_due (due_at<?)', 'SCAN due'],
  },
  'events.deleteOldEvents': {
    reason: 'the oldest events, in the order of an index: its limit stands inside',
    steps: ['SEARCH event USING COVERING INDEX event_at (at<?)', 'SEARCH event'],
  },
  'events.eventsAfter': {
    reason: 'a batch of what came last, in the order of the key',
    steps: ['SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)'],
  },
  'events.eventsFrom': {
    reason: 'a page, in the order of an index',
    steps: ['SEARCH event USING INDEX event_at (at>?)'],
  },
  'events.eventsUntil': {
    reason: 'a page, in the order of an index',
    steps: ['SEARCH event USING INDEX event_at (at<?)'],
  },
  'events.firstEvent': { reason: 'the first row, in the order of the key', steps: ['SCAN event'] },
  'audit-files.foremostAuditFile': {
    reason: 'the last row, in the order of an index',
    steps: ['SCAN audit_file USING COVERING INDEX audit_file_last'],
  },
  'audit-files.deleteAuditFilesBefore': {
    reason: 'one row for each file that is forgotten',
    steps: ['SEARCH audit_file USING COVERING INDEX audit_file_last (last_id<?)'],
  },
  'events.lastEvent': { reason: 'the last row, in the order of the key', steps: ['SCAN event'] },
  'events.eventsOfRepository': {
    reason: 'the last events of a repository as a whole, in the order of an index that holds nothing else',
    steps: ['SEARCH event USING INDEX event_repository (repo=?)'],
  },
  'retention-reviews.dueRetentionReviews': {
    reason: 'a batch of the queue, in the order of its index: as many rows as were asked for',
    steps: ['SEARCH retention_review USING INDEX retention_review_due (due_at<?)'],
  },
  'retention-reviews.claimRetentionReviews': {
    reason: 'a batch of the queue, in the order of its index: as many rows as were asked for',
    steps: [
      'SEARCH retention_review USING PRIMARY KEY (repo=?)',
      'SEARCH due USING INDEX retention_review_due (due_at<?)',
    ],
  },
  'retention-reviews.unsettleClaimedReviews': {
    reason: 'what the processes are looking at now: a batch for each',
    steps: ['SEARCH retention_review USING INDEX retention_review_claimed (claimed_until>?)'],
  },
  'retention-reviews.renewRetentionReview': {
    reason: 'one row: the repository is the whole key',
    steps: ['SEARCH retention_review USING PRIMARY KEY (repo=?)'],
  },
  'retention-reviews.nextRetentionReview': {
    reason: 'the first row of the queue, in the order of its index',
    steps: ['SEARCH retention_review USING COVERING INDEX retention_review_due (due_at>?)'],
  },
  'policy-approvals.policyApprovals': {
    reason: 'as many rows as there are policies in the configuration; read at the start',
    steps: ['SCAN policy_approval'],
  },
  'policy-approvals.unqueuePolicies': {
    reason: 'as many rows as there are policies in the configuration; after the clock was set',
    steps: ['SCAN policy_approval'],
  },
  'announced-ends.announcedEndsAfter': {
    reason: 'a page of those of a repository, when the whole repository is looked at',
    steps: ['SEARCH announced_end USING PRIMARY KEY (repo=? AND name>?)'],
  },
  'pruned-hours.prunedBetween': {
    reason: 'the hours of the last day of a repository: 26 at most',
    steps: ['SEARCH pruned_hour USING PRIMARY KEY (repo=? AND hour>? AND hour<?)'],
  },
  'pruned-hours.deletePrunedBefore': {
    reason: 'the hours of a repository that were not forgotten yet: each look at it forgets them',
    steps: ['SEARCH pruned_hour USING PRIMARY KEY (repo=? AND hour<?)'],
  },
  'retention-reviews.deleteRetentionReview': {
    reason: 'one row: the repository is the whole key',
    steps: ['SEARCH retention_review USING PRIMARY KEY (repo=?)'],
  },
  'retention-reviews.hastenRetentionReview': {
    reason: 'one row: the repository is the whole key',
    steps: ['SEARCH retention_review USING PRIMARY KEY (repo=?)'],
  },
  'retention-reviews.changesOf': {
    reason: 'one row: the repository is the whole key',
    steps: ['SEARCH retention_review USING PRIMARY KEY (repo=?)'],
  },
  'retention-reviews.postponeRetentionReview': {
    reason: 'one row: the repository is the whole key',
    steps: ['SEARCH retention_review USING PRIMARY KEY (repo=?)'],
  },
  'trash.trashedManifestsAfter': {
    reason: 'a page of the deleted manifests, in the order of an index that holds nothing else',
    steps: ['SEARCH manifest USING INDEX manifest_trashed ((repo,digest)>(?,?))'],
  },
  'trash.trashedTagsAfter': {
    reason: 'a page of the deleted tags, in the order of the key',
    steps: ['SEARCH tag_trash USING PRIMARY KEY ((repo,name,manifest)>(?,?,?))'],
  },
  'usage.linkedBlobsAfter': {
    reason: 'a page of the links of a repository, in the order of the key',
    steps: ['SEARCH link USING PRIMARY KEY (repo=? AND digest>?)'],
  },
  'usage.repositoriesAfter': {
    reason: 'a page of the repositories, in the order of the key',
    steps: ['SEARCH repository USING PRIMARY KEY (name>?)'],
  },
  'usage.objectsAfter': {
    reason: 'a page of the objects, in the order of the key',
    steps: ['SEARCH object USING PRIMARY KEY (oid>?)'],
  },
  'pins.pinsAfter': {
    reason: 'a page of the pins, in the order of the key',
    steps: ['SEARCH pin USING PRIMARY KEY ((repo,kind,name)>(?,?,?))'],
  },
  'retention.tagClocksAfter': {
    reason: 'a page of the tags of a repository, in the order of the key',
    steps: ['SEARCH tag USING PRIMARY KEY (repo=? AND name>?)'],
  },
  'retention.manifestClocksAfter': {
    reason: 'a page of the manifests of a repository, in the order of the key',
    steps: ['SEARCH manifest USING INDEX sqlite_autoindex_manifest_1 (repo=? AND digest>?)'],
  },
  'retention.heldBlobsAfter': {
    reason: 'a page of the edges of a repository, in the order of the key',
    steps: ['SEARCH manifest_blob USING PRIMARY KEY (repo=? AND (manifest,digest)>(?,?))'],
  },
  'retention.presentChildrenAfter': {
    reason: 'a page of what the indexes of a repository list, in the order of the key',
    steps: ['SEARCH manifest_child USING PRIMARY KEY (repo=? AND (parent,child)>(?,?))'],
  },
  'retention.linkAfterOthers': {
    reason: 'a few hundred of the links, in the order of the index, when a plan of everything begins',
    steps: ['SEARCH link USING COVERING INDEX link_digest (digest>?)'],
  },
  'retention.linkedBySeveral': {
    reason: 'the same links',
    steps: ['SEARCH link USING COVERING INDEX link_digest (digest>? AND digest<?)'],
  },
  'retention.pinsOfRepository': {
    reason: 'all pins of a repository, and nothing else: a person has set each',
    steps: ['SEARCH pin USING PRIMARY KEY (repo=?)'],
  },
  'quotas.quotaAndBlob': {
    reason: 'a row each, by the whole key: whether it is there or not',
    steps: [
      'SEARCH usage USING PRIMARY KEY (quota=? AND repo=?) LEFT-JOIN',
      'SEARCH blob USING PRIMARY KEY (quota=? AND repo=? AND digest=?) LEFT-JOIN',
      'SEARCH link USING COVERING INDEX link_digest (digest=? AND repo=?) LEFT-JOIN',
    ],
  },
  'quotas.quotaStanding': {
    reason: 'a row, by the whole key: whether it is there or not',
    steps: ['SEARCH usage USING PRIMARY KEY (quota=? AND repo=?) LEFT-JOIN'],
  },
  'quotas.quotasInForce': {
    reason: 'all quotas, and nothing else: a person has written each',
    steps: ['SEARCH quota USING INDEX sqlite_autoindex_quota_1 (position>?)'],
  },
  'quotas.countTagsAfter': {
    reason: 'a page of the tags of a repository, in the order of the key: its limit stands inside',
    steps: ['SEARCH tag USING PRIMARY KEY (repo=? AND name>?)', 'SCAN some'],
  },
  'history.deleteOldPullHistory': {
    reason: 'the first rows of pulls, in the order of the key: its limit stands inside',
    steps: ['SEARCH pull_history USING PRIMARY KEY (day<?)'],
  },
  'history.deleteOldPushHistory': {
    reason: 'the first rows of pushes, in the order of the key: its limit stands inside',
    steps: ['SCAN push_history', 'SCAN oldest'],
  },
  'history.firstPushHistory': { reason: 'the first row, in the order of the key', steps: ['SCAN push_history'] },
  'history.lastPushHistory': { reason: 'the last row, in the order of the key', steps: ['SCAN push_history'] },
  'history.nextDayOfPulls': {
    reason: 'the next row, in the order of the key',
    steps: ['SEARCH pull_history USING PRIMARY KEY (day>?)'],
  },
  'history.pullOfDayBehind': {
    reason: 'the end of a page of a day of pulls, in the order of the key: as many rows as one step counts',
    steps: ['SEARCH pull_history USING PRIMARY KEY (day=? AND (repo,digest,tag)>(?,?,?))'],
  },
  'history.pullsOfDayAfter': {
    reason: 'counts the last page of a day of pulls, in the order of the key',
    steps: ['SEARCH pull_history USING PRIMARY KEY (day=? AND (repo,digest,tag)>(?,?,?))'],
  },
  'history.pullHistoryAfter': {
    reason: 'a page of the pulls of a repository on a day, in the order of the key',
    steps: ['SEARCH pull_history USING PRIMARY KEY (day=? AND repo=? AND (digest,tag)>(?,?))'],
  },
  'history.pushHistoryAfter': {
    reason: 'a page of the pushes of a repository, in the order of an index',
    steps: ['SEARCH push_history USING INDEX push_history_repository (repo=? AND id>?)'],
  },
  'history.repositoryOfHistoryAfter': {
    reason: 'the next row, in the order of an index',
    steps: ['SEARCH push_history USING COVERING INDEX push_history_repository (repo>?)'],
  },
  'old-trash.trashedTagsByEnd': {
    reason: 'a page of the deleted tags, in the order of an index',
    steps: ['SEARCH tag_trash USING INDEX tag_trash_end ((purge_after,repo,name,manifest)>(?,?,?,?))'],
  },
  'old-trash.trashedManifestsByEnd': {
    reason: 'a page of the deleted manifests, in the order of an index that holds nothing else',
    steps: ['SEARCH manifest USING INDEX manifest_trash_end ((trash_until,repo,digest)>(?,?,?))'],
  },
  'old-trash.countTrashedTags': {
    reason: 'counts the beginning of an index, up to a limit',
    steps: ['SCAN tag_trash USING COVERING INDEX tag_trash_end', 'SCAN some'],
  },
  'old-trash.countTrashedManifests': {
    reason: 'counts the beginning of an index that holds nothing else, up to a limit',
    steps: ['SEARCH manifest USING COVERING INDEX manifest_trash_end (trash_until>?)', 'SCAN some'],
  },
  'storage-samples.storageSamplesSince': {
    reason: 'a sample an hour, which are kept for a month; no more than asked for',
    steps: ['SEARCH storage_sample USING PRIMARY KEY (at>?)'],
  },
  'storage-samples.deleteOldStorageSamples': {
    reason: 'what is older than a month, hourly: one row each time',
    steps: ['SEARCH storage_sample USING PRIMARY KEY (at<?)'],
  },
  'outlook.linkCountsAfter': {
    reason: 'a page of the objects, in the order of the key',
    steps: ['SEARCH object USING PRIMARY KEY (oid>?)'],
  },
  'objects.objectsAfter': {
    reason: 'reads the beginning of the table, up to a limit',
    steps: ['SEARCH object USING PRIMARY KEY (oid>?)'],
  },
  'outlook.reviewsDueBy': {
    reason: 'a page of the queue, in the order of its index',
    steps: ['SEARCH task USING COVERING INDEX task_due ((due_at,kind,key1,key2)>(?,?,?,?) AND due_at<?)'],
  },
  'outlook.storageEvents': {
    reason: 'the last events of the registry as a whole, in the order of an index that holds few others',
    steps: ['SEARCH event USING INDEX event_repository (repo=?)'],
  },
  'robots.robotsAfter': {
    reason: 'a page of the robots, in the order of the key',
    steps: ['SEARCH robot USING PRIMARY KEY (name>?)'],
  },
  'signing-keys.signingKeyInUse': {
    reason: 'one row, in an index that holds nothing else',
    steps: ['SCAN signing_key USING INDEX signing_key_in_use'],
  },
  'signing-keys.deleteOldSigningKeys': {
    reason: 'all keys: the one that signs, and those whose last tokens end within minutes',
    steps: ['SCAN signing_key'],
  },
  'refresh-tokens.deleteEndedRefreshTokens': {
    reason: 'the first of those that are over, in the order of an index: its limit stands inside',
    steps: ['SEARCH ended USING COVERING INDEX refresh_token_end (expires_at<?)'],
  },
  'stored.storedByState': {
    reason: 'all of a table that has a row for each of four states',
    steps: ['SCAN stored'],
  },
  'purges.anyUnfinishedPurge': {
    reason: 'the first row of an index that holds nothing else',
    steps: ['SCAN purge USING INDEX purge_unfinished'],
  },
  'purges.unfinishedPurges': {
    reason: 'all rows of an index that holds nothing else: what was interrupted',
    steps: ['SCAN purge USING INDEX purge_unfinished'],
  },
  'processes.otherProcesses': {
    reason: 'a row for each process that serves the registry',
    steps: ['SCAN process'],
  },
  'processes.anyByOtherPolicies': {
    reason: 'a row for each process that serves the registry',
    steps: ['SCAN process'],
  },
  'processes.aboutAllProcesses': {
    reason: 'a row for each process that serves the registry',
    steps: ['SCAN process'],
  },
  'processes.unconfirmedProcesses': {
    reason: 'a row for each process that serves the registry',
    steps: ['SCAN process'],
  },
  'processes.purgesToConfirm': {
    reason: 'all rows of an index that holds nothing else: what is not finished',
    steps: ['SCAN purge USING INDEX purge_unfinished'],
  },
  'purges.purgesBefore': {
    reason: 'a page of the purges, in the order of the key',
    steps: ['SEARCH purge USING INTEGER PRIMARY KEY (rowid<?)'],
  },
  'purge-consequences.consequencesAfter': {
    reason: 'a page of what a purge has loosened, in the order of the key',
    steps: ['SEARCH purge_consequence USING PRIMARY KEY (purge=? AND (kind,repo,digest,tag,of_digest)>(?,?,?,?,?))'],
  },
  'purged-places.placesAfter': {
    reason: 'a page of the places of a purge, in the order of the key',
    steps: ['SEARCH purge_place USING PRIMARY KEY (purge=? AND (kind,repo,digest,name)>(?,?,?,?))'],
  },
  'purged-pulls.pullsOnDays': {
    reason: 'reads through a list of days that was passed in',
    steps: ['SCAN wanted VIRTUAL TABLE INDEX 1:'],
  },
  'purge-plan.manifestsHoldingAfter': {
    reason: 'a page of the manifests that hold a blob, in the order of the index',
    steps: ['SEARCH manifest_blob USING COVERING INDEX manifest_blob_held (link_digest=? AND (repo,manifest)>(?,?))'],
  },
  'purge-plan.manifestsLackingAfter': {
    reason: 'a page of the manifests that lack a blob, in the order of the index',
    steps: ['SEARCH manifest_blob USING INDEX manifest_blob_absent (digest=? AND (repo,manifest)>(?,?))'],
  },
  'purge-plan.uploadsUnderWayAfter': {
    reason: 'a page of the open uploads, in the order of an index that holds nothing else',
    steps: ['SEARCH upload USING INDEX upload_object (oid>?)'],
  },
  'stored.openUploadsAfter': {
    reason: 'a page of the open uploads, in the order of an index that holds nothing else',
    steps: ['SEARCH upload USING INDEX upload_object (oid>?)'],
  },
};

describe.each(everyQuery)('$name', (query) => {
  const steps = planOfQuery(query).filter(growsWithTheRegistry);
  const exception = exceptions[query.name];

  test(`costs no more in a large registry${exception === undefined ? '' : ` (${exception.reason})`}`, () => {
    expect(steps).toEqual([...(exception?.steps ?? [])]);
  });

  // A purge looks at each link once, by whichever of its images it finds it.
  const sorted = query.name === 'purge-removals.reviewLinksOfPurge' ? ['USE TEMP B-TREE FOR DISTINCT'] : [];
  test('sorts nothing: rows come in the order of an index', () => {
    expect(planOfQuery(query).filter((step) => step.includes('TEMP B-TREE'))).toEqual(sorted);
  });
});

test('every query names its columns: a running process of an earlier version goes on when a table gets another one', () => {
  const all = everyQuery.filter((query) => /select (\S+\.)?\*|returning \*/.test(query.compiled(dialects.sqlite).sql));
  expect(all.map(({ name }) => name)).toEqual([]);
});

test('each exception is a query that is there', () => {
  const names = new Set(everyQuery.map(({ name }) => name));
  expect(Object.keys(exceptions).filter((name) => !names.has(name))).toEqual([]);
});

describe('a foreign key', () => {
  const foreignKeys = database
    .query<{ child: string; id: number; columns: string }, []>(
      `select t.name as child, f.id, group_concat(f."from", ',' order by f.seq) as columns
       from sqlite_schema t, pragma_foreign_key_list(t.name) f
       where t.type = 'table' group by t.name, f.id`,
    )
    .all();

  test('stands between each two levels', () => {
    expect(foreignKeys.map(({ child, columns }) => `${child}(${columns})`).sort()).toEqual([
      'link(digest)',
      'link(repo)',
      'manifest(repo)',
      'manifest_blob(repo,link_digest)',
      'manifest_blob(repo,manifest)',
      'manifest_child(repo,parent)',
      'manifest_child(repo,present_child)',
      'purge(finisher)',
      'purge_confirmation(process)',
      'purge_confirmation(purge)',
      'purge_consequence(purge)',
      'purge_digest(purge)',
      'purge_place(purge)',
      'room_making(process)',
      'tag(repo,manifest)',
      'tag_trash(repo,manifest)',
      'upload(oid)',
    ]);
  });

  test.each(foreignKeys)('$child($columns) is looked up from the right by an index', ({ child, columns }) => {
    const condition = columns.split(',').map((column) => `"${column}" = ?`);
    const [step, ...others] = planOf(
      `select 1 from "${child}" where ${condition.join(' and ')}`,
      ['a', 'b'].slice(0, condition.length),
    );
    expect(others).toEqual([]);
    expect(step).toStartWith(`SEARCH ${child} USING`);
    for (const column of columns.split(',')) expect(step).toContain(`${column}=?`);
  });
});

import type { ColumnType, Generated } from 'kysely';
import type { Digest, DigestAlgorithm } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';

/**
 * The tables of protocol.md, section 1, as Kysely sees them. The same in every database.
 * Times are milliseconds since 1970, sizes are bytes, digests are text ("sha256:…").
 */
export interface Schema {
  repository: RepositoryTable;
  object: ObjectTable;
  upload: UploadTable;
  link: LinkTable;
  manifest: ManifestTable;
  manifest_blob: ManifestBlobTable;
  manifest_child: ManifestChildTable;
  tag: TagTable;
  tag_trash: TagTrashTable;
  blocked: BlockedTable;
  task: TaskTable;
  pin: PinTable;
  event: EventTable;
  collector_pause: CollectorPauseTable;
  store: StoreTable;
  retention_review: RetentionReviewTable;
  pruned_hour: PrunedHourTable;
  policy_approval: PolicyApprovalTable;
  announced_end: AnnouncedEndTable;
  pruning_pause: PruningPauseTable;
  quota: QuotaTable;
  quota_usage: QuotaUsageTable;
  quota_blob: QuotaBlobTable;
  quota_set: QuotaSetTable;
  pull_history: PullHistoryTable;
  push_history: PushHistoryTable;
  stored: StoredTable;
  storage_sample: StorageSampleTable;
  room_making: RoomMakingTable;
  robot: RobotTable;
  signing_key: SigningKeyTable;
  refresh_token: RefreshTokenTable;
  audit_mark: AuditMarkTable;
  audit_file: AuditFileTable;
  rules_in_force: RulesInForceTable;
  purge: PurgeTable;
  purge_digest: PurgeDigestTable;
  purge_place: PurgePlaceTable;
  purge_consequence: PurgeConsequenceTable;
  read_only: ReadOnlyTable;
  purge_confirmation: PurgeConfirmationTable;
  process: ProcessTable;
  incarnation: IncarnationTable;
}

/** A column that the database computes from others. */
type Computed<T> = ColumnType<T, never, never>;

export interface RepositoryTable {
  name: RepositoryName;
  created_at: number;
}

export type ObjectState = 'pending' | 'live' | 'condemned' | 'dead';

/** One physical file. Its state only moves forward; its oid is never used again (I2). */
export interface ObjectTable {
  oid: string;
  digest: Digest | null;
  size_bytes: Generated<number>;
  state: ObjectState;
  /**
   * When a condemned object dies. When a dead one may be forgotten, once it is removed then; NULL where it has not been
   * removed yet, and nothing is known of that.
   */
  due_at: number | null;
  /** The digest while the object is live, else NULL. Unique; links refer to it (I2, I3). */
  live_digest: Computed<Digest | null>;
}

export interface UploadTable {
  id: string;
  repo: RepositoryName;
  /** The pending object; NULL once the session is done. */
  oid: string | null;
  state: 'open' | 'done';
  algorithm: DigestAlgorithm;
  offset_bytes: Generated<number>;
  /** What the blob store has said when the offset was reached; empty where it needs nothing. */
  progress: Generated<string>;
  /** Grows with every writer; only the holder of the newest may move the offset (R31). */
  epoch: Generated<number>;
  opened_at: number;
  touched_at: number;
  result_digest: Digest | null;
  /** Whose sessions it counts among; NULL for one that is not counted. */
  client: string | null;
  /** The process whose writers its bytes are from; NULL where it has none yet. */
  writer: string | null;
  /** The epoch under which a request has all bytes and verifies them; NULL, or another than the newest, while none does. */
  closing_epoch: number | null;
  /** Under which incarnation of the database it was claimed last, or opened; NULL where that is not known. */
  incarnation: string | null;
}

/** One row as long as the database cannot have lost a commit: PostgreSQL empties the table at its start after a crash. */
export interface IncarnationTable {
  name: 'database';
  id: string;
}

/** A blob is visible in a repository. */
export interface LinkTable {
  repo: RepositoryName;
  digest: Digest;
  lease_until: number;
  created_at: number;
  /** When a client deleted the blob: hidden from clients, kept only for what is in the trash. */
  deleted_at: number | null;
}

export interface ManifestTable {
  repo: RepositoryName;
  digest: Digest;
  media_type: string;
  kind: 'image' | 'index';
  artifact_type: string | null;
  /** JSON, as in the manifest; only where there is a subject (the referrers list shows them). */
  annotations: string | null;
  subject: Digest | null;
  state: 'live' | 'trashed';
  trash_until: number | null;
  lease_until: number;
  pushed_at: number;
  /** When a tag last began to point here; NULL for a manifest that never had one. */
  tagged_at: number | null;
  last_pulled_at: number | null;
  /** When an index or a subject that held it went; NULL while none has since the last push. */
  released_at: number | null;
  size_bytes: number;
  bytes: Uint8Array;
  live_digest: Computed<Digest | null>;
}

/** A manifest needs a config or layer; an index lists something that is not here as a manifest. */
export interface ManifestBlobTable {
  repo: RepositoryName;
  manifest: Digest;
  digest: Digest;
  /** Of the content's file while the edge holds the link, whatever the manifest says; else as it says. */
  size_bytes: number;
  /** The digest while the edge holds the link, NULL while the content is absent (foreign layer, sparse image; I4). */
  link_digest: Digest | null;
}

/** An index lists a manifest. */
export interface ManifestChildTable {
  repo: RepositoryName;
  parent: Digest;
  child: Digest;
  /** The child while it is here, NULL while it is absent (sparse index; I5). */
  present_child: Digest | null;
}

export interface TagTable {
  repo: RepositoryName;
  name: TagName;
  manifest: Digest;
  /** When the tag began to point at this manifest. */
  moved_at: number;
  pushed_at: number;
  /** When a client that may push last asked whether the tag exists (R22). */
  touched_at: number;
  last_pulled_at: number | null;
}

/** What a tag pointed at before it was deleted or overwritten (R23). */
export interface TagTrashTable {
  repo: RepositoryName;
  name: TagName;
  manifest: Digest;
  trashed_at: number;
  purge_after: number;
}

export interface BlockedTable {
  digest: Digest;
  blocked_at: number;
  reason: string;
}

export type TaskKind = 'manifest' | 'link' | 'object' | 'upload';

/** The review queue. Every enqueue bumps `version`, so that no wake-up is lost (R44). */
export interface TaskTable {
  kind: TaskKind;
  key1: string;
  key2: string;
  due_at: number;
  version: Generated<number>;
  attempts: Generated<number>;
  claimed_until: Generated<number>;
}

/** Keeps a repository, a tag or a manifest until it is taken away. */
export interface PinTable {
  repo: RepositoryName;
  kind: 'repository' | 'tag' | 'manifest';
  /** The tag or the digest; empty for a repository. */
  name: string;
  reason: string;
  pinned_by: string;
  pinned_at: number;
}

export type EventKind =
  | 'manifest.pushed'
  | 'tag.pushed'
  | 'blob.pushed'
  | 'blob.mounted'
  | 'tag.deleted'
  | 'tag.moved'
  | 'tag.restored'
  | 'tag.emptied'
  | 'tag.collected'
  | 'tag.pruned'
  | 'tag.ending'
  | 'manifest.deleted'
  | 'manifest.restored'
  | 'manifest.emptied'
  | 'manifest.collected'
  | 'manifest.pruned'
  | 'link.deleted'
  | 'link.collected'
  | 'blob.collected'
  | 'upload.expired'
  | 'pinned'
  | 'unpinned'
  | 'collector.paused'
  | 'collector.resumed'
  | 'readonly.on'
  | 'readonly.off'
  | 'database.restored'
  | 'blob.adopted'
  | 'retention.waiting'
  | 'retention.approved'
  | 'retention.paused'
  | 'retention.resumed'
  | 'quota.soft'
  | 'quota.hard'
  | 'disk.high'
  | 'disk.low'
  | 'disk.reserve'
  | 'disk.room'
  | 'disk.stuck'
  | 'robot.made'
  | 'robot.rotated'
  | 'robot.revoked'
  | 'login.refused'
  | 'login.ended'
  | 'access.denied'
  | 'policy.changed'
  | 'purged'
  | 'purge.checked'
  | 'purge.lifted'
  | 'purge.refused'
  | 'manifest.purged'
  | 'tag.purged'
  | 'link.purged';

/** What has happened, on whose word and why: what is gone is explained from here. */
export interface EventTable {
  id: Generated<number>;
  at: number;
  kind: EventKind;
  /** NULL for what concerns a blob in all repositories, or the registry. */
  repo: RepositoryName | null;
  digest: Digest | null;
  tag: TagName | null;
  /** Who, from where and with what, in words. */
  actor: string;
  reason: string | null;
  bytes: number | null;
  /** `KIND:NAME` of whoever asked; NULL in rows from before it was kept. */
  identity: string | null;
  address: string | null;
  request_id: string | null;
  user_agent: string | null;
  result: 'done' | 'refused';
}

/** How far the only audit file had come, as long as there was one for a registry. Nothing but old versions writes it. */
export interface AuditMarkTable {
  name: 'file';
  last_id: number;
}

/** How far an audit file has come. Each machine may have its own. */
export interface AuditFileTable {
  /** The id of who writes it, as it stands beside the file. */
  writer: string;
  last_id: number;
}

/** Rules of the configuration as they were at the last start, by the key under which they stand. */
export interface RulesInForceTable {
  name: string;
  hash: string;
  /** JSON, for commands that have the registry without its server; NULL where those need not know them. */
  settings: string | null;
}

/** One row while the collector is paused. */
export interface CollectorPauseTable {
  name: 'collector';
  reason: string;
  paused_by: string;
  paused_at: number;
}

/** One row while nothing may be changed. */
export interface ReadOnlyTable {
  name: 'registry';
  reason: string;
  set_by: string;
  set_at: number;
  /** By which whoever has set it is known; empty for a person. */
  token: string;
  /** When it ends unless it is renewed; NULL where it does not end by itself. */
  until: number | null;
  /** Where the registry was moved to. */
  moved_to: string | null;
}

/** The blob store, as far as the database knows it: one row. */
export interface StoreTable {
  id: number;
  generation: number;
  /** Which registry it is; null until somebody has had to know. */
  identity: string | null;
  /** Whether that was left beside the blobs. */
  identity_left: number;
}

/** When a repository is looked at again for what its policy would prune. */
export interface RetentionReviewTable {
  repo: RepositoryName;
  /** NULL while nothing about it can change by time alone. */
  due_at: number | null;
  /** Grows with every change of the repository that retention has to look at. */
  version: Generated<number>;
  /** Grows with those changes by which something may stay that was to go. */
  narrowings: Generated<number>;
  attempts: Generated<number>;
  /** Until when a process has it for itself; 0 where none does. */
  claimed_until: Generated<number>;
}

/** What was pruned of a repository in an hour, by hours since 1970. */
export interface PrunedHourTable {
  repo: RepositoryName;
  hour: number;
  tags: number;
  bytes: number;
}

/** A policy that may prune, by its hash. */
export interface PolicyApprovalTable {
  policy: Digest;
  approved_at: number;
  approved_by: string;
  /** When all of its repositories were in the queue; NULL before. */
  queued_at: number | null;
}

/** A tag of which it was told that it is about to end. */
export interface AnnouncedEndTable {
  repo: RepositoryName;
  name: TagName;
  ends_at: number;
}

/** One row while nothing is pruned because the clock was set. */
export interface PruningPauseTable {
  name: 'pruning';
  reason: string;
  paused_at: number;
  until: number;
}

/**
 * How far the count of a quota has come: first through the links of its repositories, then through their tags. A change
 * behind the cursor is counted with it, one before the cursor when the count gets there. `stale`: it counts no more, and
 * what it has counted is cleared away.
 */
export type QuotaPhase = 'links' | 'tags' | 'complete' | 'stale';

/** One count of a quota. */
export interface QuotaTable {
  number: Generated<number>;
  /** Where the quota stands among those in force; NULL where it is none any more. */
  position: number | null;
  /** Of all that decides which repositories it is for. */
  repositories_hash: string;
  /** The quota as it is configured, in JSON: for commands that have the registry without its server. */
  settings: string;
  phase: QuotaPhase;
  cursor_repo: Generated<string>;
  cursor_item: Generated<string>;
}

/** What is counted: of a quota for all of its repositories together, or of each of them. */
export interface QuotaUsageTable {
  quota: number;
  /** Empty where the quota is for all of its repositories together. */
  repo: RepositoryName | '';
  bytes: number;
  tags: number;
  /** When something was first refused for these; NULL again when there is less of them. */
  refused_bytes: number | null;
  refused_tags: number | null;
}

/** One row: which set of quotas is in force. The database changes its number itself. */
export interface QuotaSetTable {
  name: 'registry';
  revision: number;
}

/** In how many repositories of a quota a content is linked: it counts once. */
export interface QuotaBlobTable {
  quota: number;
  repo: RepositoryName | '';
  digest: Digest;
  size_bytes: number;
  links: number;
}

/** How often a manifest was pulled on a day, by a tag or by its digest. */
export interface PullHistoryTable {
  /** Days since 1970, in UTC. */
  day: number;
  repo: RepositoryName;
  digest: Digest;
  /** Empty for pulls by digest. */
  tag: TagName | '';
  pulls: number;
  last_at: number;
}

/** What was pushed and removed, in the order in which it was. */
export interface PushHistoryTable {
  id: Generated<number>;
  at: number;
  repo: RepositoryName;
  /** Empty for a manifest by its digest. */
  tag: TagName | '';
  /** `collected` is a manifest that the collector has taken away, of which nothing else is left than `manifest`. */
  what: 'pushed' | 'removed' | 'collected';
  /** What was pushed, or what a tag that was removed led to. */
  digest: Digest;
  /** What the tag led to before it was pushed; NULL where it was new. */
  was: Digest | null;
  /** When the tag, or the manifest, had been pushed before; NULL where it was new. */
  was_pushed_at: number | null;
  /** When the tag had begun to lead there, or the manifest last got a tag. */
  was_tagged_at: number | null;
  /** JSON: what a replay needs of a manifest that is gone. */
  manifest: string | null;
}

/** How many objects of each state there are, and their bytes: kept by triggers on `object` and `upload`. */
export interface StoredTable {
  state: ObjectState;
  /** The counters of a state are the sums of its rows. */
  shard: Generated<number>;
  objects: number;
  /** Of pending objects: how far their uploads have come. */
  bytes: number;
}

/** How much was stored at a time, and how much of the disk was used, by whomever. */
export interface StorageSampleTable {
  at: number;
  stored_bytes: number;
  disk_used_bytes: number;
}

/** The one row says which process makes room where too much is stored, and how that stands. */
export interface RoomMakingTable {
  name: 'room';
  /** NULL where nobody does, and where no process shares the database. */
  process: string | null;
  /** When something was last let go, in ms since 1970; NULL where nothing was. */
  stepped_at: number | null;
  /** JSON; NULL where nobody has looked yet. */
  state: string | null;
}

/** An account of a program, made by an operator. */
export interface RobotTable {
  name: string;
  /** SHA-256 of its secret, in hexadecimal digits. */
  secret_hash: string;
  description: string;
  created_at: number;
  created_by: string;
  /** NULL where it does not end by itself. */
  expires_at: number | null;
  revoked_at: number | null;
  /** To within some minutes; NULL for one that has never come. */
  last_used_at: number | null;
}

/** A key that signs tokens, or has signed some that may still be in use. */
export interface SigningKeyTable {
  kid: string;
  /** A JSON Web Key, with its private part. */
  private_key: string;
  created_at: number;
  /** When it has signed its last token; NULL for the one that signs. */
  retired_at: number | null;
}

/** What a client gets tokens with in place of a password. */
export interface RefreshTokenTable {
  /** SHA-256, in hexadecimal digits. */
  token_hash: string;
  kind: 'user' | 'robot';
  name: string;
  /** JSON: who it was issued to, as far as that cannot be looked up. */
  identity: string;
  /** Of what it was issued for: where the account has another password by now, it is worth nothing. */
  credential: string;
  service: string;
  client_id: string;
  created_at: number;
  expires_at: number;
  /** To within some minutes. */
  last_used_at: number;
}

/** The record of a purge, kept for ever. */
export interface PurgeTable {
  id: Generated<number>;
  at: number;
  actor: string;
  reason: string;
  /** Whether the bytes are overwritten before they are removed, where that means anything. */
  is_shredding: 0 | 1;
  /** When the last byte was removed; NULL until then. */
  removed_at: number | null;
  /** When it was looked whether anything is left; NULL until then: the purge is not finished. */
  checked_at: number | null;
  /** JSON: what came of it, and what was found by the check. */
  result: string | null;
  /** How many responses that sent the content were broken off, as far as that was written down. */
  responses_cut: Generated<number>;
  /** Why it could not be finished when that was tried last; NULL where it was not tried, or is finished. */
  waits_for: string | null;
  /** The process that brings it to its end; NULL where any may take that over, and where none shares the database. */
  finisher: string | null;
}

/** A process that has broken off whatever it was sending of a purge that is not finished. */
export interface PurgeConfirmationTable {
  purge: number;
  process: string;
}

/** One of several processes that serve the registry, as long as it lives. */
export interface ProcessTable {
  id: string;
  /** For a person: which one it is, and where. */
  name: string;
  /** Grows as long as it lives. */
  beat: Generated<number>;
  /** These are NULL of a process of an earlier version, which does not say them. */
  version: string | null;
  /** The number of the newest migration that it knows. */
  schema_number: number | null;
  is_collecting: 0 | 1 | null;
  /** Since when it runs, and when it has last shown that it lives, in ms since 1970. */
  since: number | null;
  heard_at: number | null;
  /** By which policies it goes; empty where it goes by none, and what it changes is looked at whatever they are. */
  policies: string | null;
}

/** A digest that a purge keeps out until somebody lifts that. */
export interface PurgeDigestTable {
  purge: number;
  digest: Digest;
  lifted_at: number | null;
  lifted_by: string | null;
  lift_reason: string | null;
}

export type PurgePlaceKind = 'object' | 'link' | 'manifest' | 'tag' | 'trashed-tag' | 'upload';

/** Where a purge has found what it was for. */
export interface PurgePlaceTable {
  purge: number;
  kind: PurgePlaceKind;
  /** Empty for an object. */
  repo: RepositoryName | '';
  digest: Digest | '';
  /** Of a tag; the id of an object or an upload; else empty. */
  name: string;
  /** Of a manifest. */
  type: ManifestTable['kind'] | null;
  /** How an object or a manifest stood then. */
  state: ObjectState | ManifestTable['state'] | null;
  size_bytes: number | null;
  last_pulled_at: number | null;
  /** How often it was pulled, as far as the history of pulls reaches. */
  pulls: number | null;
  /** Of an object: what came of overwriting it; NULL where nobody asked for that, or it was not tried. */
  shredded: 'overwritten' | 'gone' | 'not-overwritten' | null;
  /** What that means, or why. */
  shredded_words: string | null;
  /** The repository while whoever pulls a manifest or a tag is told of the purge. */
  quarantined_repo: RepositoryName | null;
}

export type PurgeConsequenceKind = 'child' | 'referrer' | 'tag-about';

/** What lost by a purge what had held it, and contains nothing of what was purged. */
export interface PurgeConsequenceTable {
  purge: number;
  kind: PurgeConsequenceKind;
  repo: RepositoryName;
  /** A manifest; of a tag what it leads to. */
  digest: Digest;
  /** Empty for a manifest. */
  tag: TagName | '';
  /** What is gone: the index that listed it, or what it refers to. */
  of_digest: Digest;
  /** In words; NULL where nothing does, so that it goes. */
  held_by: string | null;
}

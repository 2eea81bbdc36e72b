import { all } from '../metadata/operation.ts';
import { repositoriesAfter } from '../metadata/queries/usage.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Registry } from '../registry/registry.ts';
import { evaluate, type Verdict } from '../retention/evaluate.ts';
import type { Content, RepositoryFacts } from '../retention/facts.ts';
import { freedOneByOne } from '../retention/freed.ts';
import type { Glob } from '../retention/glob.ts';
import { policyFor, type Policy } from '../retention/policy.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import { inOrderOfPruning, withinRails, type Removal } from '../retention/rails.ts';
import { changesNow, type RepositoryChanges } from '../registry/retire.ts';
import { readDescriptions } from './descriptions.ts';
import { type PrunedDay, prunedWithinDay } from './pruned-day.ts';
import { repositoryFacts, type ItemNodes } from './item-facts.ts';
import { type LinkedContents, readLinkedContents } from './linked-contents.ts';
import { RepositoryGraph, type ManifestNode, type Removed, type TagNode } from './repository-graph.ts';
import { SharedContents } from './shared-contents.ts';
import { waitsForFirstTag } from './untagged-window.ts';

/** Repositories whose names one step reads. */
const repositoriesPerStep = 200;

export interface PlanRequest {
  readonly policies: PolicySet;
  /** Only the repositories that it matches; undefined for all. */
  readonly repositories: Glob | undefined;
  /** Which of the policies; all where it is left out. */
  readonly isAsked?: (policy: Policy) => boolean;
  /** Decides what goes; the policy where it is left out. */
  readonly judge?: Judge;
  /** The time to judge by, in ms since 1970. */
  readonly now: number;
  /** Is told how many repositories have been looked at. */
  readonly onProgress?: (progress: { readonly name: string; readonly done: number }) => void;
}

/** Something that is to go, and what that frees after all before it in the list have gone. */
export interface PlannedRemoval extends Removal {
  readonly verdict: Verdict;
  readonly freesBytes: number;
  readonly freesBlobs: number;
}

/** What a policy would do to a repository now. */
export interface RepositoryPlan {
  readonly repo: RepositoryName;
  readonly policy: Policy;
  /** What goes, in the order in which it goes: the least recently used first. */
  readonly goes: readonly PlannedRemoval[];
  /** What the rails let go on another day only, in the same order. */
  readonly waits: readonly PlannedRemoval[];
  /** What stays: tags by name, then untagged manifests by digest. */
  readonly stays: readonly Verdict[];
  /** The earliest time at which any of it may change by time alone, in ms since 1970. */
  readonly changesAt: number | null;
  /** When the rails may let more go, in ms since 1970, where they have let something go within the last day. */
  readonly railsChangeAt: number | null;
  /** What had been pruned of it within the day, which the rails have counted. */
  readonly railed: Pick<PrunedDay, 'tags' | 'bytes'>;
  /** Whether other repositories link something that it gives up. */
  readonly sharesContents: boolean;
  /** How often the repository had changed before it was read. */
  readonly changes: RepositoryChanges;
}

const byPolicy: Judge = (policy, facts, now) => {
  const { verdicts, changesAt } = evaluate(policy, facts, now);
  const stays = verdicts.filter(({ action }) => action === 'keep');
  return { order: inOrderOfPruning(verdicts), stays, changesAt };
};

/**
 * Works out what policies would remove now, a repository after the other, by name; those that no policy is for are left
 * out. It changes nothing but that pulls recorded in memory are written first, so that they count (R25).
 *
 * What is freed is what nothing holds any more once all of the plan is done and the trash, leases and uploads are over:
 * not what a tag, an index, a subject, a pin, or an untagged manifest that waits for its first tag holds, in this or in
 * any other repository. A content that several repositories give up counts in the last of them. What changes meanwhile
 * may be judged as it was or as it is.
 */
export async function* planRetention(
  registry: Registry,
  {
    policies: { policies },
    repositories,
    isAsked = () => true,
    judge = byPolicy,
    now,
    onProgress = () => undefined,
  }: PlanRequest,
): AsyncGenerator<RepositoryPlan, void, undefined> {
  const { metadata, pulls } = registry;
  await pulls.flushQuietly();
  const shared = sharedContents(
    registry,
    now,
    // For a few repositories it is less to look for what they give up than to go through all links.
    repositories === undefined ? () => readLinkedContents(metadata) : undefined,
  );
  let done = 0;
  for (let after = ''; ;) {
    const rows = await metadata.read(() => all(repositoriesAfter, { after, limit: repositoriesPerStep }));
    for (const { name } of rows) {
      if (repositories === undefined || repositories.matches(name)) {
        const policy = policyFor(policies, name);
        if (policy !== undefined && isAsked(policy)) {
          yield await planRepository(registry, { repo: name, policy, shared, now, judge });
        }
      }
      done += 1;
      onProgress({ name: 'repositories', done });
    }
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.name;
  }
}

/** What several repositories have, for a plan of all, or of one by itself. */
export function sharedContents(
  { metadata, windows }: Registry,
  now: number,
  linked?: () => Promise<LinkedContents>,
): SharedContents {
  return new SharedContents(
    metadata,
    (row) =>
      waitsForFirstTag(
        {
          isVisible: row.state === 'live',
          taggedAt: row.tagged_at,
          releasedAt: row.released_at,
          pushedAt: row.pushed_at,
          lastPulledAt: row.last_pulled_at,
          leaseUntil: row.lease_until,
        },
        now,
        windows,
      ),
    linked,
  );
}

interface RepositoryRequest {
  readonly repo: RepositoryName;
  readonly policy: Policy;
  readonly shared: SharedContents;
  readonly now: number;
  /** Decides what goes; by the policy where it is left out. */
  readonly judge?: Judge;
}

/** What of a repository goes, in which order, and what stays. */
export interface Judgement {
  readonly order: readonly Verdict[];
  readonly stays: readonly Verdict[];
  readonly changesAt: number | null;
}

export type Judge = (policy: Policy, facts: RepositoryFacts, now: number) => Judgement;

/** The same for one repository. Pulls that are only noted in memory do not count: whoever calls writes them first. */
export async function planRepository(
  registry: Registry,
  { repo, policy, shared, now, judge = byPolicy }: RepositoryRequest,
): Promise<RepositoryPlan> {
  const { metadata, windows } = registry;
  const changes = await metadata.read(() => changesNow(repo));
  const graph = await RepositoryGraph.read(metadata, repo, registry.immutability);
  if (asksForContents(policy)) await graph.readBlobs(metadata);
  const descriptions = await readDescriptions(registry, graph, policy);
  const { facts, nodes } = repositoryFacts(graph, { descriptions, now, leaseMs: windows.leaseMs });
  const { order, stays, changesAt } = judge(policy, facts, now);
  const known = { repo, policy, stays, changesAt, changes };
  if (order.length === 0) {
    const railed = { tags: 0, bytes: 0 };
    return { ...known, goes: [], waits: [], railsChangeAt: null, railed, sharesContents: false };
  }
  await graph.readBlobs(metadata);

  const waiting = (manifest: ManifestNode): boolean =>
    manifest.parents.length === 0 && manifest.subject === undefined && waitsForFirstTag(manifest, now, windows);
  const heldAfter = graph.held(waiting, removedBy(order, nodes));
  const held = new Set<Content>();
  addBlobs(held, heldAfter);
  const givenUp = new Set<Content>();
  for (const { item } of order) {
    for (const content of item.contents) if (!held.has(content)) givenUp.add(content);
  }
  const { taken, shared: linkedElsewhere } = await shared.look(repo, givenUp);
  const isFree = (content: Content): boolean => givenUp.has(content) && !taken.has(content);
  const pruned = await metadata.read(() => prunedWithinDay(repo, now));
  // With what is held now, and will not be then, it is all that the repository holds now.
  addBlobs(held, graph.held(waiting).difference(heldAfter));
  // An untagged manifest that has waited for its first tag too long is no more held, but still here.
  for (const content of givenUp) held.add(content);
  const day = {
    tags: facts.tags.filter(({ follows }) => follows === null).length,
    sizeBytes: sizeOf(held),
    prunedTags: pruned.tags,
    prunedBytes: pruned.bytes,
  };
  const { goes, waits } = withinRails(policy.rails, day, removalsOf(order, isFree));
  if (linkedElsewhere.size > 0) {
    const stillHeld = contentsOf(waits);
    for (const content of contentsOf(goes)) {
      if (linkedElsewhere.has(content) && !stillHeld.has(content)) {
        shared.giveUp(repo, content.digest, isFree(content));
      }
    }
  }
  const sharesContents = linkedElsewhere.size > 0;
  return { ...known, goes, waits, railsChangeAt: pruned.endsAt, railed: pruned, sharesContents };
}

function asksForContents({ rules }: Policy): boolean {
  return rules.some(({ criteria }) => criteria.budgetBytes !== undefined || criteria.largerThanBytes !== undefined);
}

/** What each frees after those before it. @param isFree whether nothing else holds a content */
function removalsOf(order: readonly Verdict[], isFree: (content: Content) => boolean): readonly PlannedRemoval[] {
  const freed = freedOneByOne(
    order.map(({ item }) => ({ contents: item.contents.filter(isFree) })),
    () => 0,
  );
  return order.map((verdict, index) => ({
    verdict,
    isTag: verdict.item.kind === 'tag',
    freesBytes: freed[index]?.sizeBytes ?? 0,
    freesBlobs: freed[index]?.blobs ?? 0,
  }));
}

function contentsOf(removals: readonly PlannedRemoval[]): ReadonlySet<Content> {
  return new Set(removals.flatMap(({ verdict }) => verdict.item.contents));
}

function removedBy(order: readonly Verdict[], { tagOf, manifestOf }: ItemNodes): Removed {
  const tags = new Set<TagNode>();
  const manifests = new Set<ManifestNode>();
  for (const { item } of order) {
    const tag = tagOf.get(item);
    const manifest = manifestOf.get(item);
    if (tag !== undefined) tags.add(tag);
    else if (manifest !== undefined) manifests.add(manifest);
  }
  return { tags, manifests };
}

function addBlobs(blobs: Set<Content>, manifests: ReadonlySet<ManifestNode>): void {
  for (const manifest of manifests) for (const blob of manifest.blobs) blobs.add(blob);
}

function sizeOf(contents: ReadonlySet<Content>): number {
  let sum = 0;
  for (const { sizeBytes } of contents) sum += sizeBytes;
  return sum;
}

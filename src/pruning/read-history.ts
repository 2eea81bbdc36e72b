import { setImmediate } from 'node:timers/promises';
import { all, first } from '../metadata/operation.ts';
import {
  firstPushHistory,
  nextDayOfPulls,
  pullHistoryAfter,
  pushHistoryAfter,
  repositoryOfHistoryAfter,
} from '../metadata/queries/history.ts';
import { repositoriesAfter } from '../metadata/queries/usage.ts';
import type { PushHistoryTable } from '../metadata/schema.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { z } from 'zod';
import { type Digest, parseDigest } from '../oci/digest.ts';
import { ociEmptyJson } from '../oci/media-types.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import { dayOf } from '../registry/history.ts';
import type { Registry } from '../registry/registry.ts';
import type { Policy } from '../retention/policy.ts';
import type { DayOfPulls, Happening, ManifestPast, RepositoryHistory } from '../retention/simulate/history.ts';
import { readDescriptions } from './descriptions.ts';
import { type ManifestNode, RepositoryGraph, type TagNode } from './repository-graph.ts';

const dayMs = 86_400_000;
/** Rows that one step reads, so that no request waits long. */
const rowsPerStep = 2000;
/** Rows that are worked on before others have their turn. */
const rowsAtOnce = 100;

type PushRow = { readonly [Column in Exclude<keyof PushHistoryTable, 'id'>]: PushHistoryTable[Column] };

/** Since when something is remembered, in ms since 1970; undefined where nothing is. */
export async function rememberedSince(metadata: MetadataStore): Promise<number | undefined> {
  const push = await metadata.read(() => first(firstPushHistory, {}));
  const pull = await metadata.read(() => first(nextDayOfPulls, { after: -1 }));
  const times = [push?.at, pull === undefined ? undefined : pull.day * dayMs].filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** The names of all repositories that are there, or of which something is remembered, in their order. */
export async function* repositoriesEver(metadata: MetadataStore): AsyncGenerator<RepositoryName, void, undefined> {
  for (let after = ''; ;) {
    const here = (await metadata.read(() => first(repositoriesAfter, { after, limit: 1 })))?.name;
    const gone = (await metadata.read(() => first(repositoryOfHistoryAfter, { after })))?.repo;
    const next = here === undefined || (gone !== undefined && gone < here) ? gone : here;
    if (next === undefined) return;
    yield next;
    after = next;
  }
}

/**
 * Reads all that is remembered of a repository, and what is there now: what was there before anything was remembered of it
 * is known by what it is now, or was when something happened to it.
 *
 * @param policy whose rules may ask for labels and annotations; what is gone has none
 */
export async function readHistory(
  registry: Registry,
  repo: RepositoryName,
  policy: Policy | undefined,
): Promise<RepositoryHistory> {
  const { metadata, clock, immutability } = registry;
  const now = clock.now();
  const rows = await readPushes(metadata, repo);
  const graph = await RepositoryGraph.read(metadata, repo, registry.immutability);
  await graph.readBlobs(metadata);
  const descriptions = policy === undefined ? new Map<never, never>() : await readDescriptions(registry, graph, policy);
  const pulls = await readPulls(metadata, repo, now);

  const manifests = new Map<Digest, ManifestPast>();
  for (const [index, row] of rows.entries()) {
    const past = remainsOf(row);
    if (past !== undefined) manifests.set(past.digest, past);
    if (index % rowsAtOnce === 0) await setImmediate();
  }
  for (const node of graph.manifests.values()) {
    const { labels = {}, annotations = {} } = descriptions.get(node) ?? {};
    manifests.set(node.digest, { ...pastOf(node), labels, annotations });
  }
  for (const { digest, was } of rows) {
    for (const each of [digest, was]) if (each !== null && !manifests.has(each)) manifests.set(each, unknown(each));
  }
  const happenings = happeningsOf(rows, graph, now);
  return {
    repo,
    manifests,
    happenings,
    pulls: [...pulls, ...pullsBefore(graph, pulls)].sort((one, other) => one.lastAt - other.lastAt),
    isPinned: graph.isPinned,
    pinnedTags: new Set([
      ...graph.tags.filter(({ isPinned }) => isPinned).map(({ name }) => name),
      // What a rule would have kept too, had it been there.
      ...happenings.flatMap(({ tag }) =>
        tag !== undefined && immutability.ofTag(repo, tag) !== undefined ? [tag] : [],
      ),
    ]),
  };
}

async function readPushes(metadata: MetadataStore, repo: RepositoryName): Promise<readonly PushRow[]> {
  const rows: PushRow[] = [];
  for (let after = 0; ;) {
    const page = await metadata.read(() => all(pushHistoryAfter, { repo, after, limit: rowsPerStep }));
    for (const row of page) rows.push(row);
    const last = page.at(-1);
    if (last === undefined || page.length < rowsPerStep) return rows;
    after = last.id;
    await setImmediate();
  }
}

async function readPulls(metadata: MetadataStore, repo: RepositoryName, now: number): Promise<readonly DayOfPulls[]> {
  const pulls: DayOfPulls[] = [];
  let day = (await metadata.read(() => first(nextDayOfPulls, { after: -1 })))?.day;
  for (; day !== undefined && day <= dayOf(now); day += 1) {
    for (let last = { digest: '', tag: '' }; ;) {
      const [onDay, { digest, tag }] = [day, last];
      const page = await metadata.read(() =>
        all(pullHistoryAfter, { day: onDay, repo, digest, tag, limit: rowsPerStep }),
      );
      for (const row of page) {
        const pulled = { digest: row.digest, tag: row.tag === '' ? undefined : row.tag };
        pulls.push({ ...pulled, pulls: row.pulls, lastAt: row.last_at });
      }
      await setImmediate();
      const lastRow = page.at(-1);
      if (lastRow === undefined || page.length < rowsPerStep) break;
      last = lastRow;
    }
  }
  return pulls;
}

/** The last pulls from before they were remembered by day. */
function pullsBefore(graph: RepositoryGraph, pulls: readonly DayOfPulls[]): readonly DayOfPulls[] {
  const remembered = new Set(pulls.map(({ digest }) => digest));
  return [...graph.manifests.values()].flatMap(({ digest, lastPulledAt }) =>
    lastPulledAt === null || remembered.has(digest) ? [] : [{ digest, tag: undefined, pulls: 0, lastAt: lastPulledAt }],
  );
}

/**
 * All that happened, in the order in which it did, and before it what must have: a tag or manifest of which something is
 * remembered first that says what it was before, or that is there and of which nothing is remembered.
 */
function happeningsOf(rows: readonly PushRow[], graph: RepositoryGraph, now: number): readonly Happening[] {
  const before: Happening[] = [];
  const then: Happening[] = [];
  const tags = new Map<TagName, PushRow>();
  const manifests = new Map<Digest, PushRow>();
  for (const row of rows) {
    const { at, tag, digest, what } = row;
    if (tag === '') {
      if (!manifests.has(digest)) before.push(...manifestBefore(row));
      manifests.set(digest, row);
    } else {
      if (!tags.has(tag)) before.push(...tagBefore(row, tag));
      tags.set(tag, row);
    }
    const named = tag === '' ? undefined : tag;
    then.push({ what: what === 'pushed' ? 'pushed' : 'removed', at, tag: named, digest });
  }
  for (const tag of graph.tags) {
    const last = tags.get(tag.name);
    if (last === undefined) before.push(...tagPushes(tag));
    // It was pushed while nothing was remembered.
    else if (last.what !== 'pushed' || last.digest !== tag.manifest.digest) then.push(...tagPushes(tag));
    if (tag.touchedAt > tag.pushedAt) {
      then.push({ what: 'asked', at: tag.touchedAt, tag: tag.name, digest: tag.manifest.digest });
    }
  }
  const here = new Set(graph.tags.map(({ name }) => name));
  for (const [tag, { what, digest }] of tags) {
    if (what === 'pushed' && !here.has(tag)) then.push({ what: 'removed', at: now, tag, digest });
  }
  for (const manifest of graph.manifests.values()) {
    if (!manifests.has(manifest.digest) && isWaiting(manifest)) {
      before.push(pushed(manifest.pushedAt, undefined, manifest.digest));
    }
  }
  // The order of the rows counts, also where the clock was set back between two of them.
  let latest = 0;
  for (const [index, one] of then.entries()) {
    if (index < rows.length) latest = Math.max(latest, one.at);
    if (index < rows.length && one.at < latest) then[index] = { ...one, at: latest };
  }
  return [...before, ...then].sort((one, other) => one.at - other.at);
}

function tagBefore(row: PushRow, tag: TagName): readonly Happening[] {
  const { what, digest, was, was_pushed_at: pushedAt, was_tagged_at: taggedAt } = row;
  const ledTo = what === 'pushed' ? was : digest;
  if (ledTo === null || pushedAt === null || taggedAt === null) return [];
  return [pushed(taggedAt, tag, ledTo), pushed(Math.max(pushedAt, taggedAt), tag, ledTo)];
}

/** One that had a tag was there by its tags only. */
function manifestBefore({ digest, was_pushed_at: pushedAt, was_tagged_at: taggedAt }: PushRow): readonly Happening[] {
  return pushedAt === null || taggedAt !== null ? [] : [pushed(pushedAt, undefined, digest)];
}

function tagPushes({ name, manifest, movedAt, pushedAt }: TagNode): readonly Happening[] {
  return [pushed(movedAt, name, manifest.digest), pushed(Math.max(pushedAt, movedAt), name, manifest.digest)];
}

function pushed(at: number, tag: TagName | undefined, digest: Digest): Happening {
  return { what: 'pushed', at, tag, digest };
}

function isWaiting({ isVisible, taggedAt, releasedAt }: ManifestNode): boolean {
  return isVisible && taggedAt === null && releasedAt === null;
}

function pastOf(node: ManifestNode): ManifestPast {
  return {
    ...unknown(node.digest),
    mediaType: node.mediaType,
    artifactType: node.artifactType === ociEmptyJson ? null : node.artifactType,
    subject: node.subject?.digest ?? null,
    children: node.children.map(({ digest }) => digest),
    blobs: node.blobs,
    isPinned: node.isPinned,
  };
}

function unknown(digest: Digest): ManifestPast {
  return {
    digest,
    mediaType: '',
    artifactType: null,
    labels: {},
    annotations: {},
    subject: null,
    children: [],
    blobs: [],
    isPinned: false,
  };
}

const digestText = z.string().transform((text, context) => {
  const digest = parseDigest(text);
  if (digest !== undefined) return digest;
  context.addIssue({ code: 'custom', message: 'this is not a digest' });
  return z.NEVER;
});

/** What is remembered of a manifest that is gone (registry/history.ts). */
const remains = z.object({
  mediaType: z.string(),
  artifactType: z.string().optional(),
  subject: digestText.optional(),
  children: z.array(digestText).default([]),
  blobs: z.array(z.tuple([digestText, z.number()])).default([]),
});

function remainsOf({ digest, manifest }: PushRow): ManifestPast | undefined {
  if (manifest === null) return undefined;
  const { mediaType, artifactType, subject, children, blobs } = remains.parse(JSON.parse(manifest));
  return {
    ...unknown(digest),
    mediaType,
    artifactType: artifactType === undefined || artifactType === ociEmptyJson ? null : artifactType,
    subject: subject ?? null,
    children,
    blobs: blobs.map(([blob, sizeBytes]) => ({ digest: blob, sizeBytes })),
  };
}

import { all, change, first, type Operation } from '../../metadata/operation.ts';
import { manifestTimes, parentsOf } from '../../metadata/queries/holds.ts';
import { findPin } from '../../metadata/queries/pins.ts';
import { consequencesAfter, noteConsequence } from '../../metadata/queries/purge-consequences.ts';
import { allReferrersOf, presentChildrenOf, trashedTagsOf } from '../../metadata/queries/removals.ts';
import { tagTarget } from '../../metadata/queries/tags.ts';
import { tagsOf } from '../../metadata/queries/usage.ts';
import type { PurgeConsequenceTable } from '../../metadata/schema.ts';
import type { MetadataStore } from '../../metadata/store.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { subjectOfTag, tagsAbout } from '../../oci/tags-about.ts';
import type { Immutability } from '../immutability.ts';
import { pinOfTag } from '../pin.ts';

/** Manifests that one step looks at. */
const manifestsPerStep = 50;

/** Something that contains nothing of what is purged, and loses by the purge what held it. */
export type Loosened =
  /** An index listed it, or it refers to a manifest, by its subject or by a tag. */
  | { readonly kind: 'child' | 'referrer'; readonly repo: RepositoryName; readonly digest: Digest; readonly of: Digest }
  /** A tag by which older clients keep something about a manifest. */
  | {
      readonly kind: 'tag-about';
      readonly repo: RepositoryName;
      readonly tag: TagName;
      readonly digest: Digest;
      readonly of: Digest;
    };

/** What becomes of it: it goes, a tag at once and a manifest when its lease is over, unless something holds it. */
export type Consequence = Loosened & {
  /** In words; undefined where it goes. */
  readonly heldBy: string | undefined;
};

export interface Purging {
  readonly metadata: Pick<MetadataStore, 'read'>;
  /** Whether the purge takes a manifest, or has taken it. */
  readonly isHit: (repo: RepositoryName, digest: Digest) => boolean;
  readonly immutability: Immutability;
}

interface Looked {
  readonly repo: RepositoryName;
  readonly tagsAboutOthers: readonly { readonly tag: TagName; readonly subject: Digest }[];
  readonly parents: readonly Digest[];
  /** Undefined where it has none, or that is not here. */
  readonly subject: Digest | undefined;
  /** Whether it has time to get its first tag, until an index that lists it, or its subject, has gone (T_review). */
  readonly isWaitingForTag: boolean;
  /** What holds it whatever goes; undefined where nothing does. */
  readonly ownHold: string | undefined;
}

/**
 * What goes by itself in consequence of a purge, and what stays: of what the purge has loosened, and of what goes with
 * that. It is looked upward from each as the collector does it, for a tag, a pin, an index or a subject that stays.
 */
export async function consequencesOf(purging: Purging, direct: readonly Loosened[]): Promise<readonly Consequence[]> {
  const found = new Map<string, Loosened>();
  const looked = new Map<string, Looked>();
  const keptTags = new Map<string, string>();
  const waiting: Loosened[] = [];
  const add = (each: Loosened): void => {
    const key = JSON.stringify(each, ['kind', 'repo', 'tag', 'digest', 'of']);
    if (found.has(key) || purging.isHit(each.repo, each.digest)) return;
    found.set(key, each);
    waiting.push(each);
  };
  direct.forEach(add);
  while (waiting.length > 0) {
    const some = waiting.splice(-manifestsPerStep);
    await purging.metadata.read(function* look(): Operation<void> {
      for (const each of some) {
        const { kind, repo, digest, of } = each;
        if (kind === 'tag-about') {
          const why = yield* whatKeepsTag(repo, each.tag, purging);
          if (why === undefined) add({ kind: 'referrer', repo, digest, of });
          else keptTags.set(`${repo}:${each.tag}`, why);
          continue;
        }
        const key = `${repo}@${digest}`;
        if (looked.has(key)) continue;
        const one = yield* lookAt(repo, digest, purging);
        looked.set(key, one);
        if (one.ownHold === undefined) (yield* loosenedBy(repo, digest)).forEach(add);
      }
    });
  }
  const held = holdsOf(looked, purging);

  const goes = (repo: RepositoryName, digest: Digest): boolean => {
    const key = `${repo}@${digest}`;
    return looked.has(key) ? !held.has(key) : purging.isHit(repo, digest);
  };
  const isDirect = new Set(direct);
  const consequences: Consequence[] = [];
  for (const each of found.values()) {
    const { kind, repo, digest, of } = each;
    if (!isDirect.has(each) && !goes(repo, of)) continue;
    const heldBy = kind === 'tag-about' ? keptTags.get(`${repo}:${each.tag}`) : held.get(`${repo}@${digest}`);
    consequences.push({ ...each, heldBy });
  }
  return consequences;
}

/** What keeps a tag that is about something which is gone. @see removeTagsAbout */
function* whatKeepsTag(repo: RepositoryName, tag: TagName, { immutability }: Purging): Operation<string | undefined> {
  if ((yield* pinOfTag(repo, tag)) !== undefined) return 'its pin';
  const rule = immutability.ofTag(repo, tag);
  return rule === undefined ? undefined : `the rule ${rule}, by which it is immutable`;
}

/** What a manifest holds that goes. */
export function* loosenedBy(repo: RepositoryName, digest: Digest): Operation<readonly Loosened[]> {
  const loosened: Loosened[] = [];
  for (const { child } of yield* all(presentChildrenOf, { repo, parent: digest })) {
    loosened.push({ kind: 'child', repo, digest: child, of: digest });
  }
  for (const referrer of yield* all(allReferrersOf, { repo, subject: digest })) {
    loosened.push({ kind: 'referrer', repo, digest: referrer.digest, of: digest });
  }
  for (const tag of tagsAbout(digest)) {
    const led = yield* first(tagTarget, { repo, name: tag });
    if (led !== undefined) loosened.push({ kind: 'tag-about', repo, tag, digest: led.manifest, of: digest });
  }
  return loosened;
}

function* lookAt(repo: RepositoryName, digest: Digest, purging: Purging): Operation<Looked> {
  const row = yield* first(manifestTimes, { repo, digest });
  const subject = row?.state === 'live' ? (row.subject ?? undefined) : undefined;
  const hasSubject = subject !== undefined && (yield* first(manifestTimes, { repo, digest: subject })) !== undefined;
  const tagsAboutOthers: { tag: TagName; subject: Digest }[] = [];
  let ownHold: string | undefined;
  for (const { name: tag } of yield* all(tagsOf, { repo, manifest: digest })) {
    const about = subjectOfTag(tag);
    const isKept = about === undefined || (yield* whatKeepsTag(repo, tag, purging)) !== undefined;
    if (isKept) ownHold ??= `the tag ${tag}`;
    else tagsAboutOthers.push({ tag, subject: about });
  }
  ownHold ??= yield* otherHold(repo, digest);
  if (row?.state === 'trashed') ownHold ??= 'its time in the trash';
  const parents = (yield* all(parentsOf, { repo, child: digest })).map(({ parent }) => parent);
  const isWaitingForTag = row?.state === 'live' && row.tagged_at === null && row.released_at === null;
  return { repo, tagsAboutOthers, parents, subject: hasSubject ? subject : undefined, isWaitingForTag, ownHold };
}

function* otherHold(repo: RepositoryName, digest: Digest): Operation<string | undefined> {
  if ((yield* first(findPin, { repo, kind: 'manifest', name: digest })) !== undefined) return 'its pin';
  const [trashed] = yield* all(trashedTagsOf, { repo, manifest: digest });
  if (trashed !== undefined) return `the tag ${trashed.name} in the trash`;
  const ofRepository = yield* first(findPin, { repo, kind: 'repository', name: '' });
  return ofRepository === undefined ? undefined : 'the pin of its repository';
}

/**
 * What stays, and why. A tag about something goes after that has gone, so one that is about what it keeps, itself or through
 * others, keeps it for ever; and so for its time does a manifest that waits for its first tag, and is let go by what it keeps
 * only. So it is asked again with what goes by then, until that is no more.
 */
function holdsOf(looked: ReadonlyMap<string, Looked>, purging: Purging): ReadonlyMap<string, string> {
  for (let gone: ReadonlySet<string> = new Set(); ;) {
    const held = holdsBeside(looked, purging, gone);
    if (gone.size + held.size === looked.size) return held;
    gone = new Set([...looked.keys()].filter((key) => !held.has(key)));
  }
}

/**
 * The holds where tags keep what they lead to unless they are about what is gone, and manifests wait for a first tag unless
 * something that held them is; what is held hands that on downward.
 */
function holdsBeside(
  looked: ReadonlyMap<string, Looked>,
  { isHit }: Purging,
  gone: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const held = new Map<string, string>();
  const stays = (repo: RepositoryName, digest: Digest): boolean => {
    const key = `${repo}@${digest}`;
    return looked.has(key) ? held.has(key) : !isHit(repo, digest);
  };
  const isGone = (repo: RepositoryName, digest: Digest): boolean =>
    gone.has(`${repo}@${digest}`) || isHit(repo, digest);
  const holderOf = ({ repo, ownHold, tagsAboutOthers, parents, subject, isWaitingForTag }: Looked) => {
    if (ownHold !== undefined) return ownHold;
    const tag = tagsAboutOthers.find((each) => !isGone(repo, each.subject));
    if (tag !== undefined) return `the tag ${tag.tag}`;
    const holders = subject === undefined ? parents : [...parents, subject];
    if (isWaitingForTag && !holders.some((holder) => isGone(repo, holder))) return 'its time without a tag';
    const index = parents.find((parent) => stays(repo, parent));
    if (index !== undefined) return `the index ${index}`;
    return subject !== undefined && stays(repo, subject) ? `its subject ${subject}` : undefined;
  };
  for (let isNews = true; isNews;) {
    isNews = false;
    for (const [key, one] of looked) {
      if (held.has(key)) continue;
      const holder = holderOf(one);
      if (holder === undefined) continue;
      held.set(key, holder);
      isNews = true;
    }
  }
  return held;
}

/** Until a purge has loosened something, nothing of it comes before it. */
const beforeAll = { kind: '', repo: '', digest: '', tag: '', of: '' };
/** Rows that one step reads or writes. */
const rowsPerStep = 200;

/** What the record of a purge has of what it has loosened, a page at a time. */
export async function* recordedConsequences(
  metadata: Pick<MetadataStore, 'read'>,
  purge: number,
): AsyncGenerator<readonly Consequence[], void, undefined> {
  for (let after = beforeAll; ;) {
    const from = after;
    const rows = await metadata.read(() => all(consequencesAfter, { purge, ...from, limit: rowsPerStep }));
    if (rows.length > 0) yield rows.map(consequenceOf);
    const last = rows.at(-1);
    if (last === undefined || rows.length < rowsPerStep) return;
    after = { kind: last.kind, repo: last.repo, digest: last.digest, tag: last.tag, of: last.of_digest };
  }
}

/**
 * Writes down what becomes of what a purge has loosened: of what its transaction has noted, and of what goes with that.
 * May be done again.
 */
export async function recordConsequences(
  {
    metadata,
    immutability,
  }: { readonly metadata: Pick<MetadataStore, 'read' | 'writeUnsynced'>; readonly immutability: Immutability },
  purge: number,
): Promise<void> {
  const noted: Loosened[] = [];
  for await (const page of recordedConsequences(metadata, purge)) noted.push(...page);
  const loosened = new Set(noted.map(({ repo, digest }) => `${repo}@${digest}`));
  const gone = new Set(noted.map(({ repo, of }) => `${repo}@${of}`).filter((key) => !loosened.has(key)));
  const isHit = (repo: RepositoryName, digest: Digest): boolean => gone.has(`${repo}@${digest}`);
  const found = await consequencesOf({ metadata, immutability, isHit }, noted);
  for (let start = 0; start < found.length; start += rowsPerStep) {
    const some = found.slice(start, start + rowsPerStep);
    await metadata.writeUnsynced(
      function* write(): Operation<void> {
        for (const each of some) {
          const { kind, repo, digest, of, heldBy = null } = each;
          const tag = each.kind === 'tag-about' ? each.tag : '';
          yield* change(noteConsequence, { purge, kind, repo, digest, tag, of, heldBy });
        }
      },
      // A purge comes to its end on a full disk, too.
      { fromReserve: true },
    );
  }
}

function consequenceOf({ kind, repo, digest, tag, of_digest: of, held_by }: PurgeConsequenceTable): Consequence {
  const heldBy = held_by ?? undefined;
  return kind === 'tag-about' && tag !== ''
    ? { kind, repo, tag, digest, of, heldBy }
    : { kind: kind === 'child' ? kind : 'referrer', repo, digest, of, heldBy };
}

import { all, change, type Operation } from '../metadata/operation.ts';
import { announcedEndsAfter, deleteAnnouncedEnd, upsertAnnouncedEnd } from '../metadata/queries/announced-ends.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import { pruningActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import type { Registry } from '../registry/registry.ts';
import type { Verdict } from '../retention/evaluate.ts';

/** Rows that one step reads or writes, so that no request waits long. */
const rowsPerStep = 500;
/** An end that is put off by less is not told of again, in ms: each pull puts one off. */
const toldAgainAfterMs = 24 * 3_600_000;

/** A tag that goes at a time, in ms since 1970, unless something is done about it before. */
export interface ComingEnd {
  readonly tag: TagName;
  readonly digest: Digest;
  readonly endsAt: number;
}

/** The tags among what stays that go within a time, by time alone. */
export function comingEnds(stays: readonly Verdict[], until: number): readonly ComingEnd[] {
  return stays.flatMap(({ item, changesAt }) =>
    item.kind === 'tag' && changesAt !== null && changesAt <= until
      ? [{ tag: item.name, digest: item.digest, endsAt: changesAt }]
      : [],
  );
}

/**
 * Tells of the ends that are coming, once of each; of one that comes sooner than it was told, or is put off by a day or
 * more, again. What is told of and comes no more is forgotten, so that it is told of when it does.
 */
export async function announceEnds(
  { metadata }: Registry,
  repo: RepositoryName,
  ends: readonly ComingEnd[],
  now: number,
): Promise<void> {
  const byTag = new Map(ends.map((end) => [end.tag, end]));
  for (let after = ''; ;) {
    const from = after;
    const told = await metadata.read(() => all(announcedEndsAfter, { repo, after: from, limit: rowsPerStep }));
    const over: TagName[] = [];
    for (const { name, ends_at } of told) {
      const putOffMs = (byTag.get(name)?.endsAt ?? Infinity) - ends_at;
      if (putOffMs === Infinity) over.push(name);
      else if (putOffMs >= 0 && putOffMs < toldAgainAfterMs) byTag.delete(name);
    }
    if (over.length > 0) await metadata.writeUnsynced(() => forget(repo, over));
    const last = told.at(-1);
    if (last === undefined || told.length < rowsPerStep) break;
    after = last.name;
  }
  const untold = [...byTag.values()];
  for (let start = 0; start < untold.length; start += rowsPerStep) {
    const some = untold.slice(start, start + rowsPerStep);
    await metadata.writeUnsynced(() => tell(repo, some, now));
  }
}

function* forget(repo: RepositoryName, names: readonly TagName[]): Operation<void> {
  for (const name of names) yield* change(deleteAnnouncedEnd, { repo, name });
}

function* tell(repo: RepositoryName, ends: readonly ComingEnd[], now: number): Operation<void> {
  for (const { tag, digest, endsAt } of ends) {
    yield* change(upsertAnnouncedEnd, { repo, name: tag, endsAt });
    const reason = `its policy may let it go at ${new Date(endsAt).toISOString()}, unless it is used before`;
    yield* recordEvent({ at: now, kind: 'tag.ending', repo, digest, tag, actor: pruningActor, reason });
  }
}

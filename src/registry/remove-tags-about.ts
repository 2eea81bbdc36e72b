import { first, type Operation } from '../metadata/operation.ts';
import { deleteTag, tagTarget } from '../metadata/queries/tags.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { tagsAbout } from '../oci/tags-about.ts';
import { collectorActor } from './actor.ts';
import { recordEvent } from './events.ts';
import { keepsHistory, rememberTagGone } from './history.ts';
import type { Immutability } from './immutability.ts';
import { pinOfTag } from './pin.ts';
import { uncountTags } from './quota-usage.ts';
import type { Quotas } from './quotas.ts';
import type { Windows } from './registry.ts';

export interface RemovingTags {
  readonly now: number;
  readonly windows: Windows;
  readonly quotas: Quotas;
  readonly immutability: Immutability;
}

/** Removes the tags by which older clients keep what belongs to a manifest, but for pinned and immutable ones. @returns what they pointed at */
export function* removeTagsAbout(
  repo: RepositoryName,
  digest: Digest,
  { now, windows, quotas, immutability }: RemovingTags,
): Operation<readonly Digest[]> {
  const pointedAt: Digest[] = [];
  for (const name of tagsAbout(digest)) {
    if ((yield* first(tagTarget, { repo, name })) === undefined) continue;
    if ((yield* pinOfTag(repo, name)) !== undefined) continue;
    if (immutability.ofTag(repo, name) !== undefined) continue;
    const removed = yield* first(deleteTag, { repo, name });
    if (removed === undefined) continue;
    yield* uncountTags(quotas.of(repo), repo, [name]);
    pointedAt.push(removed.manifest);
    if (keepsHistory(windows)) yield* rememberTagGone({ at: now, repo }, name, removed);
    const reason = `it is about ${digest}, which is gone`;
    yield* recordEvent({
      at: now,
      kind: 'tag.collected',
      repo,
      digest: removed.manifest,
      tag: name,
      actor: collectorActor,
      reason,
    });
  }
  return pointedAt;
}

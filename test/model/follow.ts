import type { RepositoryName } from '../../src/oci/names.ts';
import { forgetTrashedTags, wrongTrashAndPins } from './follow-trash.ts';
import { pushedBlob, pushedManifest } from './places.ts';
import { linkWent, manifestsWent } from './reference/gone.ts';
import { isBlobHeld } from './reference/holds.ts';
import { purgedNames } from './reference/purges.ts';
import type { Reference } from './reference/reference.ts';
import type { ModelRepository, TrashedTag } from './reference/repository.ts';
import { mayBeForgotten } from './reference/uploads.ts';
import { nameOf, repositories } from './universe.ts';
import type { Seen } from './world.ts';

/** Takes out of the model what is not there any more. @returns what should be there, or should not */
export function goneFrom(model: Reference, seen: Seen, now: number): readonly string[] {
  const problems = forgetGone(model, seen, now);
  problems.push(...forgetTrashedTags(model, seen, now, () => false), ...wrongTrashAndPins(model, seen));
  problems.push(...wrongPurges(model, seen));
  for (const repo of repositories) {
    const there = model.in(repo);
    for (const row of seen.manifests.filter((each) => each.repo === repo)) {
      const manifest = there.manifests.get(pushedManifest(row.digest));
      const state = manifest === undefined ? 'gone' : manifest.trashUntil === undefined ? 'live' : 'trashed';
      if (state !== row.state) problems.push(`${nameOf(pushedManifest(row.digest))} is ${row.state}, not ${state}`);
    }
    for (const row of seen.links.filter((each) => each.repo === repo)) {
      const isHidden = there.links.get(pushedBlob(row.digest))?.isHidden;
      if (isHidden !== (row.is_hidden === 1)) problems.push(`${row.digest} is there, or hidden, in vain`);
    }
    problems.push(...wrongEdges(there, seen, repo));
    const tagRows = seen.tags.filter((each) => each.repo === repo);
    for (const { name, manifest } of tagRows) {
      const target = [...there.tags].find(([tag]) => tag === name)?.[1];
      if (target !== manifest) problems.push(`tag ${name} points at ${nameOf(pushedManifest(manifest))}`);
    }
    for (const [tag] of there.tags) {
      if (!tagRows.some(({ name }) => name === tag)) problems.push(`tag ${tag} is lost`);
    }
  }
  return problems;
}

/** What is kept out, or names a purge, and should not; or the other way round. */
function wrongPurges(model: Reference, seen: Seen): readonly string[] {
  const expected = purgedNames(model);
  const found = new Set(seen.purged.map(({ name }) => name));
  return [
    ...[...expected].filter((name) => !found.has(name)).map((name) => `${name} is not purged`),
    ...[...found].filter((name) => !expected.has(name)).map((name) => `${name} is purged in vain`),
  ];
}

/** What holds something, and should not; or the other way round. */
function wrongEdges({ manifests }: ModelRepository, seen: Seen, repo: RepositoryName): readonly string[] {
  const edges = [...seen.blobEdges, ...seen.childEdges].filter((edge) => edge.repo === repo);
  const found = new Set(edges.map(({ manifest, held }) => `${manifest} holds ${held}`));
  const expected = new Set<string>();
  for (const [digest, { heldBlobs, heldChildren }] of manifests) {
    for (const held of [...heldBlobs, ...heldChildren]) expected.add(`${digest} holds ${held}`);
  }
  return [
    ...[...expected].filter((edge) => !found.has(edge)).map((edge) => `it is not so that ${edge}`),
    ...[...found].filter((edge) => !expected.has(edge)).map((edge) => `in vain ${edge}`),
  ];
}

/**
 * Takes out of the model what is not there any more, but for what may have been restored just now.
 * @returns what should be there
 */
export function forgetGone(model: Reference, seen: Seen, now: number): string[] {
  const problems: string[] = [];
  for (const repo of repositories) {
    if (seen.uploads.some((row) => row.repo === repo && row.oid !== null)) model.in(repo).uploadedAt = now;
  }
  const ids = new Set(seen.uploads.map(({ id }) => id));
  for (const [slot, upload] of model.uploads) {
    if (ids.has(upload.id)) continue;
    if (!mayBeForgotten(model, upload, now)) problems.push(`the upload in slot ${slot} is lost`);
    model.uploads.delete(slot);
  }
  for (const repo of repositories) {
    const { manifests: there, links } = model.in(repo);
    const rows = new Set(seen.manifests.filter((row) => row.repo === repo).map(({ digest }) => digest));
    const gone = new Set([...there.keys()].filter((digest) => !rows.has(digest)));
    for (const lost of manifestsWent(model, repo, gone, now)) problems.push(`${nameOf(lost)} is lost`);
    const linked = new Set(seen.links.filter((row) => row.repo === repo).map(({ digest }) => digest));
    for (const digest of links.keys()) {
      if (linked.has(digest)) continue;
      if (isBlobHeld(model, repo, digest, now)) problems.push(`blob ${digest} is lost`);
      else linkWent(model, repo, digest);
    }
  }
  const leadsThere = ({ tag, manifest }: TrashedTag) =>
    seen.tags.some((row) => row.name === tag && row.manifest === manifest);
  problems.push(...forgetTrashedTags(model, seen, now, leadsThere));
  return problems;
}

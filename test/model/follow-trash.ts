import type { Reference } from './reference/reference.ts';
import type { TrashedTag } from './reference/repository.ts';
import { nameOf, repositories } from './universe.ts';
import type { Seen } from './world.ts';

/**
 * Takes out of the model what deleted and moved tags led to, where it is not in the trash any more.
 * @param isRestored tells of a tag that leads there again that it may have been restored, and not forgotten
 * @returns what should be in the trash still
 */
export function forgetTrashedTags(
  model: Reference,
  seen: Seen,
  now: number,
  isRestored: (tag: TrashedTag) => boolean,
): readonly string[] {
  const problems: string[] = [];
  for (const repo of repositories) {
    const rows = seen.trashedTags.filter((row) => row.repo === repo);
    const { trashedTags } = model.in(repo);
    for (const [key, trashed] of trashedTags) {
      const { tag, manifest, until } = trashed;
      if (rows.some((row) => row.name === tag && row.manifest === manifest) || isRestored(trashed)) continue;
      if (until > now) problems.push(`that ${tag} led to ${nameOf(manifest)} is lost`);
      else trashedTags.delete(key);
    }
  }
  return problems;
}

/** What the trash and the list of pins hold, and should not; or the other way round. */
export function wrongTrashAndPins(model: Reference, seen: Seen): readonly string[] {
  const problems: string[] = [];
  for (const repo of repositories) {
    const { manifests, trashedTags, pins } = model.in(repo);
    const expected = [
      ...[...trashedTags.values()].map(({ tag, manifest, until }) => `that ${tag} led to ${manifest} until ${until}`),
      ...[...manifests].map(([digest, { trashUntil }]) => `${digest} in the trash until ${trashUntil ?? 'never'}`),
      ...[...pins].map(([key, reason]) => `a pin of ${key} for ${reason}`),
    ];
    const isHere = (row: { readonly repo: string }) => row.repo === repo;
    const found = [
      ...seen.trashedTags
        .filter(isHere)
        .map((row) => `that ${row.name} led to ${row.manifest} until ${row.purge_after}`),
      ...seen.manifests.filter(isHere).map((row) => `${row.digest} in the trash until ${row.trash_until ?? 'never'}`),
      ...seen.pins.filter(isHere).map(({ kind, name, reason }) => `a pin of ${`${kind} ${name}`.trim()} for ${reason}`),
    ];
    problems.push(...expected.filter((each) => !found.includes(each)).map((each) => `there is not ${each} in ${repo}`));
    problems.push(...found.filter((each) => !expected.includes(each)).map((each) => `there is ${each} in ${repo}`));
  }
  return problems;
}

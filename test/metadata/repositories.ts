import { all, change, type Operation } from '../../src/metadata/operation.ts';
import { insertRepository } from '../../src/metadata/queries/repositories.ts';
import { query } from '../../src/metadata/query.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { parseRepositoryName, type RepositoryName } from '../../src/oci/names.ts';

// What a test of a metadata store writes and reads, where it does not matter what that is.

export const app = repositoryName('team/app');
export const other = repositoryName('team/other');
export const third = repositoryName('team/third');

/** The rows of all repositories, by name. */
export const allRepositories = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('repository').select('name').orderBy('name'),
);

export function repositoryName(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === undefined) throw new Error(`${text} is not a repository name`);
  return name;
}

/** @returns 1, or 0 where it is there */
export function add(repo: RepositoryName): Operation<number> {
  return change(insertRepository, { repo, now: 0 });
}

/** Those that a read finds. */
export async function namesIn(store: MetadataStore): Promise<readonly string[]> {
  const rows = await store.read(() => all(allRepositories, {}));
  return rows.map(({ name }) => name);
}

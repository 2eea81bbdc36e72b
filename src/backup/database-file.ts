import { Database } from 'bun:sqlite';
import { migrations } from '../metadata/migrations/all.ts';

/** What a copy of a database holds. */
export interface DatabaseContents {
  readonly repositories: number;
  readonly manifests: number;
  readonly tags: number;
  readonly blobs: number;
}

/** A file is not what could be put in a registry's place, in words for the operator. */
export class UnusableDatabaseError extends Error {
  override readonly name = 'UnusableDatabaseError';
}

/**
 * Looks whether a file is a whole database of a registry that this version can use, and what it holds. It is read from its
 * first to its last page.
 *
 * @throws UnusableDatabaseError
 */
export function inspectDatabase(path: string): DatabaseContents {
  try {
    using database = new Database(path, { readonly: true });
    database.run('pragma trusted_schema = off');
    const problems = database
      .query<{ quick_check: string }, []>('pragma quick_check(3)')
      .all()
      .map(({ quick_check }) => quick_check);
    if (problems.join() !== 'ok') throw new UnusableDatabaseError(`it is damaged: ${problems.join('; ')}`);
    expectSchema(database);
    return contentsOf(database);
  } catch (error) {
    if (error instanceof UnusableDatabaseError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnusableDatabaseError(`it cannot be read as a database: ${reason}`, { cause: error });
  }
}

function expectSchema(database: Database): void {
  const found = database.query<{ user_version: number }, []>('pragma user_version').get()?.user_version ?? 0;
  const newest = migrations.at(-1)?.number ?? 0;
  if (found === 0) throw new UnusableDatabaseError('it is not the database of a registry');
  if (found > newest) {
    throw new UnusableDatabaseError(
      `it has schema ${found}, and this version of wherry knows schemas up to ${newest}: use the version that it was taken with`,
    );
  }
}

function contentsOf(database: Database): DatabaseContents {
  const counted = database
    .query<DatabaseContents, []>(
      `select (select count(*) from repository) as repositories, (select count(*) from manifest) as manifests,
         (select count(*) from tag) as tags, (select count(*) from object where state = 'live') as blobs`,
    )
    .get();
  if (counted === null) throw new UnusableDatabaseError('it is not the database of a registry');
  return counted;
}

import { change, type Operation } from '../metadata/operation.ts';
import { deleteEmptyRepository } from '../metadata/queries/removals.ts';
import { hastenRetentionReview } from '../metadata/queries/retention-reviews.ts';
import type { RepositoryName } from '../oci/names.ts';

/** Forgets a repository where nothing is left in it, and has retention see that it has nothing to remember of it. */
export function* forgetIfEmpty(repo: RepositoryName, now: number): Operation<void> {
  if ((yield* change(deleteEmptyRepository, { repo })) > 0) yield* change(hastenRetentionReview, { repo, dueAt: now });
}

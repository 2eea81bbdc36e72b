/**
 * What an identity may be allowed to do. `pull` is reading whatever kind, `push` bringing blobs, manifests and tags,
 * `tag-overwrite` having a tag that is there lead to something else, `delete` removing tags, manifests and blobs,
 * `restore` taking from the trash, `purge` purging, and `admin` everything else that operators do.
 */
export const actions = ['pull', 'push', 'tag-overwrite', 'delete', 'restore', 'purge', 'admin'] as const;

export type Action = (typeof actions)[number];

/** What is never about one repository alone, so that it takes the right in all of them. */
export const actionsOfAll: readonly Action[] = ['purge', 'admin'];

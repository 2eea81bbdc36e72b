import { sql } from 'kysely';
import type { TaskKind } from '../schema.ts';
import { query } from '../query.ts';

/**
 * Puts a thing into the review queue, or brings its review forward. Always an update where the task exists: a worker
 * that is looking at it meanwhile sees by the version that it has to look again (R44).
 */
export const upsertTask = query<{ kind: TaskKind; key1: string; key2: string; dueAt: number }>()(({ db, p, dialect }) =>
  db
    .insertInto('task')
    .values({ kind: p('kind'), key1: p('key1'), key2: p('key2'), due_at: p('dueAt') })
    .onConflict((conflict) =>
      conflict.columns(['kind', 'key1', 'key2']).doUpdateSet(({ ref, eb }) => ({
        due_at: dialect.least(ref('task.due_at'), p('dueAt')),
        version: eb('task.version', '+', 1),
      })),
    ),
);

/** The tasks that are due, the longest due first. */
export const dueTasks = query<{ now: number; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('task')
    .select(['kind', 'key1', 'key2', 'due_at', 'version', 'attempts'])
    .where('due_at', '<=', p('now'))
    .orderBy('due_at')
    .limit(p('limit')),
);

/**
 * Takes tasks that are due for itself until `until`, the longest due first; those that others have taken, or are about to,
 * are left to them. The rows come in any order.
 */
export const claimTasks = query<{ now: number; until: number; limit: number }>()(({ db, p, dialect }) =>
  db
    .updateTable('task')
    .set({ claimed_until: p('until') })
    .where(
      ({ refTuple, selectFrom }) =>
        sql<boolean>`${refTuple('kind', 'key1', 'key2')} in ${dialect.skippingLocked(
          selectFrom('task as due')
            .select(['due.kind', 'due.key1', 'due.key2'])
            .where('due.due_at', '<=', p('now'))
            .where('due.claimed_until', '<=', p('now'))
            .orderBy('due.due_at')
            .limit(p('limit')),
        )}`,
    )
    .returning(['kind', 'key1', 'key2', 'due_at', 'version', 'attempts']),
);

/** When the first task is due, in ms since 1970. */
export const nextTask = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('task').select('due_at').orderBy('due_at').limit(1),
);

/** Has a thing looked at at `dueAt`, and not before, by whoever comes first. */
export const setTask = query<{
  kind: TaskKind;
  key1: string;
  key2: string;
  dueAt: number;
  attempts: number;
  claimedUntil: number;
}>()(({ db, p }) =>
  db
    .insertInto('task')
    .values({ kind: p('kind'), key1: p('key1'), key2: p('key2'), due_at: p('dueAt') })
    .onConflict((conflict) =>
      conflict.columns(['kind', 'key1', 'key2']).doUpdateSet(({ eb }) => ({
        due_at: p('dueAt'),
        version: eb('task.version', '+', 1),
        attempts: p('attempts'),
        claimed_until: p('claimedUntil'),
      })),
    ),
);

/** How many tasks are due, up to `limit`, and since when the first of them has been. */
export const dueFigures = query<{ now: number; limit: number }>()(({ db, p }) =>
  db
    .selectFrom(
      db
        .selectFrom('task')
        .select('due_at')
        .where('due_at', '<=', p('now'))
        .orderBy('due_at')
        .limit(p('limit'))
        .as('due'),
    )
    .select(({ fn }) => [fn.countAll<number>().as('count'), fn.min('due.due_at').as('oldest')]),
);

/** The review is over, unless somebody has asked for another one meanwhile (R44). */
export const finishTask = query<{ kind: TaskKind; key1: string; key2: string; version: number }>()(({ db, p }) =>
  db
    .deleteFrom('task')
    .where('kind', '=', p('kind'))
    .where('key1', '=', p('key1'))
    .where('key2', '=', p('key2'))
    .where('version', '=', p('version')),
);

/** The next review comes at `dueAt`, or when somebody has asked for it meanwhile (R44). */
export const postponeTask = query<{
  kind: TaskKind;
  key1: string;
  key2: string;
  version: number;
  dueAt: number;
  attempts: number;
  claimedUntil: number;
}>()(({ db, p }) =>
  db
    .updateTable('task')
    .set(({ eb, ref }) => ({
      due_at: eb.case().when('version', '=', p('version')).then(p('dueAt')).else(ref('due_at')).end(),
      attempts: p('attempts'),
      claimed_until: p('claimedUntil'),
    }))
    .where('kind', '=', p('kind'))
    .where('key1', '=', p('key1'))
    .where('key2', '=', p('key2')),
);

export const deleteTask = query<{ kind: TaskKind; key1: string; key2: string }>()(({ db, p }) =>
  db.deleteFrom('task').where('kind', '=', p('kind')).where('key1', '=', p('key1')).where('key2', '=', p('key2')),
);

export const findTask = query<{ kind: TaskKind; key1: string; key2: string }>()(({ db, p }) =>
  db
    .selectFrom('task')
    .select('due_at')
    .where('kind', '=', p('kind'))
    .where('key1', '=', p('key1'))
    .where('key2', '=', p('key2')),
);

/** The reviews of all uploads that are not over; for a database that has been restored. */
export const deleteTasksOfOpenUploads = query<Record<never, never>>()(({ db }) =>
  db
    .deleteFrom('task')
    .where('kind', '=', 'upload')
    .where('key1', 'in', ({ selectFrom }) =>
      selectFrom('upload').select('upload.id').where('upload.oid', 'is not', null),
    ),
);

/** The reviews of all objects that are not whole; for a database that has been restored. */
export const deleteTasksOfPendingObjects = query<Record<never, never>>()(({ db }) =>
  db
    .deleteFrom('task')
    .where('kind', '=', 'object')
    .where('key1', 'in', ({ selectFrom }) =>
      selectFrom('object').select('object.oid').where('object.state', '=', 'pending'),
    ),
);

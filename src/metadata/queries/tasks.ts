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

export const deleteTask = query<{ kind: TaskKind; key1: string; key2: string }>()(({ db, p }) =>
  db.deleteFrom('task').where('kind', '=', p('kind')).where('key1', '=', p('key1')).where('key2', '=', p('key2')),
);

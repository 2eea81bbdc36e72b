import type { Kysely } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import { query } from '../query.ts';
import type { Schema } from '../schema.ts';

/** A file is about to be written; its row comes first (I9). */
export const insertPendingObject = query<{ oid: string }>()(({ db, p }) =>
  db.insertInto('object').values({ oid: p('oid'), state: 'pending' }),
);

export const liveObject = query<{ digest: Digest }>()(({ db, p }) =>
  db.selectFrom('object').select(['oid', 'size_bytes']).where('live_digest', '=', p('digest')),
);

/** pending → live: the file holds `size` verified, synced bytes. */
export const makeObjectLive = query<{ oid: string; digest: Digest; size: number }>()(({ db, p }) =>
  db
    .updateTable('object')
    .set({ state: 'live', digest: p('digest'), size_bytes: p('size') })
    .where('oid', '=', p('oid'))
    .where('state', '=', 'pending'),
);

/** pending → dead: its upload is given up. */
export const makePendingObjectDead = query<{ oid: string }>()(({ db, p }) =>
  db.updateTable('object').set({ state: 'dead' }).where('oid', '=', p('oid')).where('state', '=', 'pending'),
);

/** Whatever it was → dead: the file may be removed from now on (T_kill). */
export const makeObjectDead = query<{ oid: string }>()(({ db, p }) =>
  db.updateTable('object').set({ state: 'dead' }).where('oid', '=', p('oid')),
);

/**
 * pending → dead, of which it is known what it holds: should that be purged before the file is removed, the purge finds it
 * by its digest.
 */
export const makeHashedObjectDead = query<{ oid: string; digest: Digest }>()(({ db, p }) =>
  db
    .updateTable('object')
    .set({ state: 'dead', digest: p('digest') })
    .where('oid', '=', p('oid'))
    .where('state', '=', 'pending'),
);

/** pending → dead, where the upload that it waits for is gone. */
export const dropAbandonedObject = query<{ oid: string }>()(({ db, p }) =>
  db
    .updateTable('object')
    .set({ state: 'dead' })
    .where('oid', '=', p('oid'))
    .where('state', '=', 'pending')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('upload').select('upload.id').where('upload.oid', '=', p('oid')))),
    ),
);

/**
 * The file of a dead object was removed, and may come back until `until`: it is to be removed once more then. `sizeBytes`
 * is what it takes meanwhile.
 */
export const keepDeadObject = query<{ oid: string; until: number; sizeBytes: number }>()(({ db, p }) =>
  db
    .updateTable('object')
    .set({ due_at: p('until'), size_bytes: p('sizeBytes') })
    .where('oid', '=', p('oid'))
    .where('state', '=', 'dead')
    .where('due_at', 'is', null),
);

/** T_forget: the file is durably gone. */
export const deleteDeadObject = query<{ oid: string }>()(({ db, p }) =>
  db.deleteFrom('object').where('oid', '=', p('oid')).where('state', '=', 'dead'),
);

/**
 * Dead objects after one of them that may have a file, but for those that were removed and are to be removed once more later; by their place in the review queue: a walk through all objects would grow with them. */
export const deadObjects = query<{ after: string; limit: number; now: number }>()(({ db, p }) =>
  db
    .selectFrom('task')
    .innerJoin('object', 'object.oid', 'task.key1')
    .select('object.oid')
    .where('task.kind', '=', 'object')
    .where('task.key1', '>', p('after'))
    .where('object.state', '=', 'dead')
    .where(({ eb, or }) => or([eb('object.due_at', 'is', null), eb('object.due_at', '<=', p('now'))]))
    .orderBy('task.key1')
    .limit(p('limit')),
);

/** What is kept out, why, and by which purge. */
const blocked = (db: Kysely<Schema>) =>
  db
    .selectFrom('blocked')
    .select(['digest', 'reason', 'blocked_at'])
    .select(({ selectFrom }) =>
      selectFrom('purge_digest')
        .select(({ fn }) => fn.max('purge').as('purge'))
        .whereRef('purge_digest.digest', '=', 'blocked.digest')
        .where('lifted_at', 'is', null)
        .as('purge'),
    );

/** Whether a digest is kept out. */
export const blockedDigest = query<{ digest: Digest }>()(({ db, p }) => blocked(db).where('digest', '=', p('digest')));

export const blockedAmong = query<{ digests: readonly Digest[] }>()(({ db, p, dialect }) =>
  blocked(db).where(({ ref }) => dialect.isOneOf(ref('digest'), p('digests'))),
);

export const objectState = query<{ oid: string }>()(({ db, p }) =>
  db.selectFrom('object').select(['state', 'digest', 'due_at', 'size_bytes']).where('oid', '=', p('oid')),
);

/** live → condemned (T_condemn): nothing links it; a foreign key refuses it where something does. */
export const condemnObject = query<{ oid: string; dueAt: number }>()(({ db, p }) =>
  db
    .updateTable('object')
    .set({ state: 'condemned', due_at: p('dueAt') })
    .where('oid', '=', p('oid'))
    .where('state', '=', 'live'),
);

/** condemned → dead (T_kill); `forgetAt` as the row of a dead object has it. */
export const killObject = query<{ oid: string; forgetAt: number | null }>()(({ db, p }) =>
  db
    .updateTable('object')
    .set({ state: 'dead', due_at: p('forgetAt') })
    .where('oid', '=', p('oid'))
    .where('state', '=', 'condemned'),
);

/** Every object whose upload is not over, once the uploads are gone; for a database that has been restored. */
export const deletePendingObjects = query<Record<never, never>>()(({ db }) =>
  db.deleteFrom('object').where('state', '=', 'pending'),
);

/** An object whose bytes are here already: fsck has found them, and what they are. */
export const insertKnownObject = query<{ oid: string; digest: Digest; size: number; state: 'live' | 'dead' }>()(
  ({ db, p }) =>
    db.insertInto('object').values({ oid: p('oid'), digest: p('digest'), size_bytes: p('size'), state: p('state') }),
);

/** Some objects, in the order of their ids. */
export const objectsAfter = query<{ after: string; limit: number }>()(({ db, p }) =>
  db.selectFrom('object').select(['oid', 'state']).where('oid', '>', p('after')).orderBy('oid').limit(p('limit')),
);

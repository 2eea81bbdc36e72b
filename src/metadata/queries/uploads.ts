import type { Digest, DigestAlgorithm } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { incarnationOf } from '../incarnation.ts';
import { query } from '../query.ts';

export const insertUpload = query<{
  id: string;
  repo: RepositoryName;
  oid: string;
  algorithm: DigestAlgorithm;
  client: string | null;
  now: number;
}>()(({ db, p }) =>
  db.insertInto('upload').values({
    id: p('id'),
    repo: p('repo'),
    oid: p('oid'),
    state: 'open',
    algorithm: p('algorithm'),
    client: p('client'),
    opened_at: p('now'),
    touched_at: p('now'),
    incarnation: incarnationOf(db),
  }),
);

/** One of a client's open sessions, where it has more than `others`. */
export const openUploadOfClient = query<{ client: string; others: number }>()(({ db, p }) =>
  db
    .selectFrom('upload')
    .select('id')
    .where('client', '=', p('client'))
    .where('oid', 'is not', null)
    .limit(1)
    .offset(p('others')),
);

const sessionColumns = [
  ...(['oid', 'state', 'algorithm', 'offset_bytes', 'epoch', 'result_digest', 'writer'] as const),
  ...(['closing_epoch', 'touched_at', 'incarnation'] as const),
] as const;

export const findUpload = query<{ id: string; repo: RepositoryName }>()(({ db, p }) =>
  db.selectFrom('upload').select(sessionColumns).where('id', '=', p('id')).where('repo', '=', p('repo')),
);

/** The same with its progress, which is long where the upload has many parts, and the incarnation of the database. */
export const findUploadToWrite = query<{ id: string; repo: RepositoryName }>()(({ db, p }) =>
  db
    .selectFrom('upload')
    .select([...sessionColumns, 'progress'])
    .select(incarnationOf(db).as('current_incarnation'))
    .where('id', '=', p('id'))
    .where('repo', '=', p('repo')),
);

/** A new writer takes the session over: every earlier one has lost it from here on (R31). */
export const beginUploadEpoch = query<{
  id: string;
  epoch: number;
  /** That of the database; null where only one process uses it. */
  incarnation: string | null;
  writer: string;
  /** The same epoch, where it is only to be closed. */
  closing: number | null;
  now: number;
}>()(({ db, p }) =>
  db
    .updateTable('upload')
    .set({
      epoch: p('epoch'),
      incarnation: p('incarnation'),
      writer: p('writer'),
      closing_epoch: p('closing'),
      touched_at: p('now'),
    })
    .where('id', '=', p('id'))
    .where('state', '=', 'open'),
);

/** The writer that has claimed a session is the only one that may write to it: those before have ended. */
export const becomeOnlyWriter = query<{ id: string; epoch: number; writer: string; now: number }>()(({ db, p }) =>
  db
    .updateTable('upload')
    .set({ writer: p('writer'), touched_at: p('now') })
    .where('id', '=', p('id'))
    .where('state', '=', 'open')
    .where('epoch', '=', p('epoch')),
);

/** The writer that was closing a session has not come to its end. */
export const endClosing = query<{ id: string; epoch: number }>()(({ db, p }) =>
  db
    .updateTable('upload')
    .set({ closing_epoch: null })
    .where('id', '=', p('id'))
    .where('closing_epoch', '=', p('epoch')),
);

/** What a session has so far lies in another object from here on, which nobody has written to but who made it. */
export const moveUpload = query<{ id: string; to: string; next: number }>()(({ db, p }) =>
  db
    .updateTable('upload')
    .set({ oid: p('to'), epoch: p('next'), writer: null, incarnation: incarnationOf(db) })
    .where('id', '=', p('id')),
);

/**
 * Records how far a writer has come that writes no more, if the session is still its own: a database that has lost a claim
 * gives its epoch once more.
 */
export const advanceUpload = query<{
  id: string;
  epoch: number;
  writer: string;
  offset: number;
  progress: string;
  now: number;
}>()(({ db, p }) =>
  db
    .updateTable('upload')
    .set({ offset_bytes: p('offset'), progress: p('progress'), writer: null, touched_at: p('now') })
    .where('id', '=', p('id'))
    .where('state', '=', 'open')
    .where('epoch', '=', p('epoch'))
    .where('writer', '=', p('writer')),
);

/** Somebody works on a session, whichever writer that is. */
export const keepUpload = query<{ id: string; now: number }>()(({ db, p }) =>
  db
    .updateTable('upload')
    .set({ touched_at: p('now') })
    .where('id', '=', p('id'))
    .where('state', '=', 'open')
    .where('touched_at', '<', p('now')),
);

/** Keeps the session of a slow writer from timing out (R27). */
export const touchUpload = query<{ id: string; epoch: number; writer: string; now: number }>()(({ db, p }) =>
  db
    .updateTable('upload')
    .set({ touched_at: p('now') })
    .where('id', '=', p('id'))
    .where('epoch', '=', p('epoch'))
    .where('writer', '=', p('writer')),
);

/** The session has ended well; it is kept a while so that a repeated closing PUT gets the same answer (R30). */
export const finishUpload = query<{ id: string; digest: Digest; now: number }>()(({ db, p }) =>
  db
    .updateTable('upload')
    .set({ state: 'done', oid: null, progress: '', result_digest: p('digest'), touched_at: p('now') })
    .where('id', '=', p('id')),
);

export const deleteUpload = query<{ id: string }>()(({ db, p }) => db.deleteFrom('upload').where('id', '=', p('id')));

/** By the index of their objects, which holds the open ones only. */
export const countOpenUploads = query<Record<never, never>>()(({ db }) =>
  db
    .selectFrom('upload')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('oid', 'is not', null),
);

/** When somebody last worked on a session, open or done. */
export const uploadTimes = query<{ id: string }>()(({ db, p }) =>
  db
    .selectFrom('upload')
    .select(['oid', 'repo', 'offset_bytes', 'epoch', 'incarnation', 'writer', 'touched_at'])
    .where('id', '=', p('id')),
);

/** Every session that is not over; for a database that has been restored. */
export const deleteOpenUploads = query<Record<never, never>>()(({ db }) =>
  db.deleteFrom('upload').where('oid', 'is not', null),
);

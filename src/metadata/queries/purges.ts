import type { Digest } from '../../oci/digest.ts';
import { query } from '../query.ts';

const purgeColumns = [
  'id',
  'at',
  'actor',
  'reason',
  'is_shredding',
  'removed_at',
  'checked_at',
  'result',
  'responses_cut',
  'waits_for',
  'finisher',
] as const;

// The records of purges, and the digests that they keep out.

export const insertPurge = query<{
  at: number;
  actor: string;
  reason: string;
  shredding: 0 | 1;
  finisher: string | null;
}>()(({ db, p }) =>
  db
    .insertInto('purge')
    .values({
      at: p('at'),
      actor: p('actor'),
      reason: p('reason'),
      is_shredding: p('shredding'),
      finisher: p('finisher'),
    })
    .returning('id'),
);

export const insertPurgeDigest = query<{ purge: number; digest: Digest }>()(({ db, p }) =>
  db.insertInto('purge_digest').values({ purge: p('purge'), digest: p('digest') }),
);

/** Keeps a digest out; what was said first of one that is kept out already stays. */
/** Where it is kept out already, the reason becomes that of the purge that is named with it, the newest. */
export const blockDigest = query<{ digest: Digest; at: number; reason: string }>()(({ db, p }) =>
  db
    .insertInto('blocked')
    .values({ digest: p('digest'), blocked_at: p('at'), reason: p('reason') })
    .onConflict((conflict) => conflict.column('digest').doUpdateSet(({ ref }) => ({ reason: ref('excluded.reason') }))),
);

export const unblockDigest = query<{ digest: Digest }>()(({ db, p }) =>
  db.deleteFrom('blocked').where('digest', '=', p('digest')),
);

export const findPurge = query<{ purge: number }>()(({ db, p }) =>
  db.selectFrom('purge').select(purgeColumns).where('id', '=', p('purge')),
);

export const digestsOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_digest')
    .select(['purge', 'digest', 'lifted_at', 'lifted_by', 'lift_reason'])
    .where('purge', '=', p('purge'))
    .orderBy('digest'),
);

/** The purges of a digest, lifted or not, the newest first. */
export const purgesOfDigest = query<{ digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('purge_digest')
    .innerJoin('purge', 'purge.id', 'purge_digest.purge')
    .select(['purge.id', 'purge.at', 'purge.reason', 'purge_digest.lifted_at'])
    .where('purge_digest.digest', '=', p('digest'))
    .orderBy('purge_digest.purge', 'desc'),
);

/** Purges before one of them, the newest first. */
export const purgesBefore = query<{ before: number; limit: number }>()(({ db, p }) =>
  db.selectFrom('purge').select(purgeColumns).where('id', '<', p('before')).orderBy('id', 'desc').limit(p('limit')),
);

/** Those whose bytes are not removed yet, or that were not checked. */
export const unfinishedPurges = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('purge').select(purgeColumns).where('checked_at', 'is', null).orderBy('id'),
);

/** Whether any purge is not finished. */
export const anyUnfinishedPurge = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('purge').select('id').where('checked_at', 'is', null).limit(1),
);

export const markPurgeRemoved = query<{ purge: number; at: number }>()(({ db, p }) =>
  db
    .updateTable('purge')
    .set({ removed_at: p('at') })
    .where('id', '=', p('purge'))
    .where('removed_at', 'is', null),
);

/** It is finished. */
export const markPurgeChecked = query<{ purge: number; at: number; result: string }>()(({ db, p }) =>
  db
    .updateTable('purge')
    .set({ checked_at: p('at'), result: p('result'), waits_for: null })
    .where('id', '=', p('purge')),
);

/** Responses that sent its content were broken off. */
export const addResponsesCut = query<{ purge: number; count: number }>()(({ db, p }) =>
  db
    .updateTable('purge')
    .set(({ eb }) => ({ responses_cut: eb('responses_cut', '+', p('count')) }))
    .where('id', '=', p('purge')),
);

/** Why it could not be finished. */
export const markPurgeWaiting = query<{ purge: number; reason: string }>()(({ db, p }) =>
  db
    .updateTable('purge')
    .set({ waits_for: p('reason') })
    .where('id', '=', p('purge'))
    .where('checked_at', 'is', null),
);

/** Of every purge that keeps the digest out. */
export const liftDigest = query<{ digest: Digest; at: number; actor: string; reason: string }>()(({ db, p }) =>
  db
    .updateTable('purge_digest')
    .set({ lifted_at: p('at'), lifted_by: p('actor'), lift_reason: p('reason') })
    .where('digest', '=', p('digest'))
    .where('lifted_at', 'is', null)
    .returning('purge'),
);

/** Whether a purge still keeps anything out. */
export const anyDigestKeptOut = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_digest')
    .select('digest')
    .where('purge', '=', p('purge'))
    .where('lifted_at', 'is', null)
    .limit(1),
);

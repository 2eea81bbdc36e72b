import { query } from '../query.ts';

/** The last event that was written to the audit file of a writer. */
export const auditFileMark = query<{ writer: string }>()(({ db, p }) =>
  db.selectFrom('audit_file').select('last_id').where('writer', '=', p('writer')),
);

export const upsertAuditFile = query<{ writer: string; lastId: number }>()(({ db, p }) =>
  db
    .insertInto('audit_file')
    .values({ writer: p('writer'), last_id: p('lastId') })
    .onConflict((conflict) => conflict.column('writer').doUpdateSet({ last_id: p('lastId') })),
);

/** Of all audit files, how far the one has come that has come the furthest. */
export const foremostAuditFile = query<object>()(({ db }) =>
  db.selectFrom('audit_file').select('last_id').orderBy('last_id', 'desc').limit(1),
);

/** Those of other writers that have come no further than to before an event. */
export const deleteAuditFilesBefore = query<{ id: number; writer: string }>()(({ db, p }) =>
  db.deleteFrom('audit_file').where('last_id', '<', p('id')).where('writer', '<>', p('writer')),
);

/** How far the only audit file had come that versions before migration 28 know of. */
export const commonAuditMark = query<object>()(({ db }) =>
  db.selectFrom('audit_mark').select('last_id').where('name', '=', 'file'),
);

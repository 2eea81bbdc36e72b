import { query } from '../query.ts';

/** The last event that was written to the audit file. */
export const auditMark = query<object>()(({ db }) =>
  db.selectFrom('audit_mark').select('last_id').where('name', '=', 'file'),
);

export const upsertAuditMark = query<{ lastId: number }>()(({ db, p }) =>
  db
    .insertInto('audit_mark')
    .values({ name: 'file', last_id: p('lastId') })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ last_id: p('lastId') })),
);

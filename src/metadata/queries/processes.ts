import { query } from '../query.ts';

// The processes that serve one registry, and what they tell each other of purges.

export const insertProcess = query<{
  id: string;
  name: string;
  version: string | null;
  schema: number;
  isCollecting: 0 | 1;
  since: number;
  now: number;
  policies: string;
}>()(({ db, p }) =>
  db.insertInto('process').values({
    id: p('id'),
    name: p('name'),
    version: p('version'),
    schema_number: p('schema'),
    is_collecting: p('isCollecting'),
    since: p('since'),
    heard_at: p('now'),
    policies: p('policies'),
  }),
);

/** Shows that a process lives. */
export const renewProcess = query<{ id: string; now: number }>()(({ db, p }) =>
  db
    .updateTable('process')
    .set(({ eb }) => ({ beat: eb('beat', '+', 1), heard_at: p('now') }))
    .where('id', '=', p('id')),
);

export const findProcess = query<{ id: string }>()(({ db, p }) =>
  db.selectFrom('process').select('id').where('id', '=', p('id')),
);

/** All processes but one. */
export const otherProcesses = query<{ id: string }>()(({ db, p }) =>
  db.selectFrom('process').select(['id', 'name', 'beat']).where('id', '<>', p('id')).orderBy('id'),
);

/** Any process that goes by other policies, or does not say by which. */
export const anyByOtherPolicies = query<{ policies: string }>()(({ db, p }) =>
  db
    .selectFrom('process')
    .select('id')
    .where(({ eb, or, and }) =>
      or([eb('policies', 'is', null), and([eb('policies', '<>', ''), eb('policies', '<>', p('policies'))])]),
    )
    .limit(1),
);

/** All processes, and what each says of itself. */
export const aboutAllProcesses = query()(({ db }) =>
  db
    .selectFrom('process')
    .select(['id', 'name', 'version', 'schema_number', 'is_collecting', 'since', 'heard_at'])
    .orderBy('id'),
);

/** Takes away the row of a process that has not shown since that it lives. */
export const deleteSilentProcess = query<{ id: string; beat: number }>()(({ db, p }) =>
  db.deleteFrom('process').where('id', '=', p('id')).where('beat', '=', p('beat')),
);

export const deleteProcess = query<{ id: string }>()(({ db, p }) => db.deleteFrom('process').where('id', '=', p('id')));

/** The purges that are not finished, and of which a process has not said yet that it sends nothing. */
export const purgesToConfirm = query<{ process: string }>()(({ db, p }) =>
  db
    .selectFrom('purge')
    .select('id')
    .where('checked_at', 'is', null)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('purge_confirmation as said')
            .select('said.purge')
            .whereRef('said.purge', '=', 'purge.id')
            .where('said.process', '=', p('process')),
        ),
      ),
    )
    .orderBy('id'),
);

export const confirmPurge = query<{ purge: number; process: string }>()(({ db, p }) =>
  db
    .insertInto('purge_confirmation')
    .values({ purge: p('purge'), process: p('process') })
    .onConflict((conflict) => conflict.columns(['purge', 'process']).doNothing()),
);

/** The processes but one that have not said yet that they send nothing of a purge. */
export const unconfirmedProcesses = query<{ purge: number; process: string }>()(({ db, p }) =>
  db
    .selectFrom('process')
    .select(['process.id', 'process.name'])
    .where('process.id', '<>', p('process'))
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('purge_confirmation as said')
            .select('said.purge')
            .whereRef('said.process', '=', 'process.id')
            .where('said.purge', '=', p('purge')),
        ),
      ),
    )
    .orderBy('process.id'),
);

/** Which of the processes have said so. */
export const confirmedProcesses = query<{ purge: number }>()(({ db, p }) =>
  db.selectFrom('purge_confirmation').select('process').where('purge', '=', p('purge')),
);

export const deleteConfirmations = query<{ purge: number }>()(({ db, p }) =>
  db.deleteFrom('purge_confirmation').where('purge', '=', p('purge')),
);

/** A process finishes a purge, unless another one does, or it is finished. */
export const claimPurge = query<{ purge: number; process: string }>()(({ db, p }) =>
  db
    .updateTable('purge')
    .set({ finisher: p('process') })
    .where('id', '=', p('purge'))
    .where('checked_at', 'is', null)
    .where(({ or, eb }) => or([eb('finisher', 'is', null), eb('finisher', '=', p('process'))])),
);

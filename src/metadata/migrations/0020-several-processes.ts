import type { DefinitionDialect, Migration } from './migration.ts';

/**
 * For several processes that share a database. How much is stored is counted in several rows for each state, of which each
 * transaction touches one of its own: in a single row, all transactions that write at once would wait for each other. An
 * upload says which process has written its bytes. And it can be told up to which number all events are there.
 */
export const severalProcesses: Migration = {
  number: 20,
  name: 'several processes',
  statements: (dialect) => [
    ...['added', 'removed', 'changed'].flatMap((what) =>
      dialect.dropTrigger({ name: `object_${what}`, table: 'object' }),
    ),
    ...['changed', 'removed'].flatMap((what) => dialect.dropTrigger({ name: `upload_${what}`, table: 'upload' })),

    `create table stored_next (
      state ${dialect.text} not null check (state in ('pending', 'live', 'condemned', 'dead')),
      shard ${dialect.integer} not null,
      objects ${dialect.integer} not null,
      bytes ${dialect.integer} not null,
      primary key (state, shard)
    ) ${dialect.clustered}`,
    `insert into stored_next (state, shard, objects, bytes) select state, 0, objects, bytes from stored`,
    `drop table stored`,
    `alter table stored_next rename to stored`,
    ...countObjects(dialect),
    ...countUploads(dialect),

    `alter table upload add column writer ${dialect.text}`,

    ...dialect.numberInTransactions('event'),
  ],
};

/** Adds to the counters of a state, in the transaction's own row. */
function count(dialect: DefinitionDialect, state: string, objects: string, bytes: string): string {
  return `insert into stored (state, shard, objects, bytes) values (${state}, ${dialect.counterShard}, ${objects}, ${bytes})
    on conflict (state, shard) do update
    set objects = stored.objects + excluded.objects, bytes = stored.bytes + excluded.bytes`;
}

function countObjects(dialect: DefinitionDialect): readonly string[] {
  const added = count(dialect, 'new.state', '1', 'new.size_bytes');
  const removed = count(dialect, 'old.state', '-1', '0 - old.size_bytes');
  return [
    ...dialect.trigger({ name: 'object_added', after: 'insert', table: 'object', statements: [added] }),
    ...dialect.trigger({ name: 'object_removed', after: 'delete', table: 'object', statements: [removed] }),
    ...dialect.trigger({
      name: 'object_changed',
      after: 'update',
      table: 'object',
      when: 'old.state <> new.state or old.size_bytes <> new.size_bytes',
      statements: [removed, added],
    }),
  ];
}

function countUploads(dialect: DefinitionDialect): readonly string[] {
  const ofNew = 'case when new.oid is null then 0 else new.offset_bytes end';
  const ofOld = 'case when old.oid is null then 0 else old.offset_bytes end';
  return [
    ...dialect.trigger({
      name: 'upload_changed',
      after: 'update',
      table: 'upload',
      when: `${ofNew} <> ${ofOld}`,
      statements: [count(dialect, `'pending'`, '0', `${ofNew} - ${ofOld}`)],
    }),
    ...dialect.trigger({
      name: 'upload_removed',
      after: 'delete',
      table: 'upload',
      when: `${ofOld} <> 0`,
      statements: [count(dialect, `'pending'`, '0', '0 - old.offset_bytes')],
    }),
  ];
}

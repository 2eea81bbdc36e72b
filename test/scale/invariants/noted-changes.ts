import { z } from 'zod';
import type { Beside } from './beside.ts';
import { contentTables } from './content-tables.ts';

/** The tables of which every change is noted. */
const notedTables = [...contentTables, 'purge', 'task', 'event'] as const;

export type NotedTable = (typeof notedTables)[number];

const column = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const row = z.record(z.string(), column);

/** A row as it was, without a manifest's bytes. */
export type Row = z.infer<typeof row>;

const change = z.object({
  number: z.coerce.number(),
  /** In ms since 1970: when the transaction began, and when the statement ran. */
  begun_at: z.coerce.number(),
  at: z.coerce.number(),
  /** The transaction. */
  tx: z.string(),
  about: z.enum(notedTables),
  /** Undefined for a row that was made, or is gone. */
  before: row.nullable().transform((value) => value ?? undefined),
  after: row.nullable().transform((value) => value ?? undefined),
});

/** A change of a row that was committed. The numbers of those of one row, and of rows that refer to each other, are in their order. */
export type Change = z.infer<typeof change>;

/**
 * Has the database note every change of a registry's rows from now on. The triggers only insert: were they to read, the
 * registry's transactions would meet others for what they do not look at themselves.
 */
export async function noteChanges(beside: Beside): Promise<void> {
  await beside.change(`
    create schema noted;
    create table noted.change (
      number bigint generated always as identity, begun_at bigint, at bigint, tx text, about text, before jsonb, after jsonb
    );
    create function noted.note() returns trigger language plpgsql as $$ begin
      insert into noted.change (begun_at, at, tx, about, before, after) values (
        extract(epoch from transaction_timestamp()) * 1000, extract(epoch from clock_timestamp()) * 1000,
        pg_current_xact_id()::text, tg_table_name,
        case when tg_op <> 'INSERT' then to_jsonb(old) - 'bytes' end,
        case when tg_op <> 'DELETE' then to_jsonb(new) - 'bytes' end);
      return null;
    end $$`);
  for (const table of notedTables) {
    await beside.change(`
      create trigger noted after insert or update or delete on ${table} for each row execute function noted.note();
      alter table ${table} enable always trigger noted`);
  }
}

/** All changes since then, in their order. */
export async function notedChanges(beside: Beside): Promise<readonly Change[]> {
  return await beside.rows(change, 'select * from noted.change order by number');
}

import { Client } from 'pg';
import { migrate } from '../../src/metadata/postgres/migrate.ts';

interface SchemaTrigger {
  readonly name: string;
  readonly of: string;
}

/** Makes the newest schema in an empty database that is to be copied, where damage can be done as on SQLite. */
export async function makeTemplate(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await migrate(client);
    const { rows } = await client.query<SchemaTrigger>(
      'select tgname as name, tgrelid::regclass::text as of from pg_trigger where not tgisinternal',
    );
    // Also where foreign keys do not count (tables.ts).
    for (const { name, of } of rows) await client.query(`alter table ${of} enable always trigger ${name}`);
  } finally {
    await client.end();
  }
}

// npm run test:scale: PostgreSQL, several processes on it, and S3 servers. With names of tests, `-- test/http`, those, with their
// registries on PostgreSQL; what is about the files of SQLite fails there.
import { Client } from 'pg';
import { migrate } from '../../src/metadata/postgres/migrate.ts';
import { startPostgres } from './postgres-server.ts';
import { templateDatabase } from './shared-database.ts';

const names = process.argv.slice(2);
process.exitCode = names.length === 0 ? await run(['test/scale'], {}) : await runOnPostgres(names);

async function runOnPostgres(tests: readonly string[]): Promise<number> {
  const postgres = await startPostgres();
  try {
    const template = new URL(await postgres.newDatabase(templateDatabase));
    const client = new Client({ connectionString: template.href });
    await client.connect();
    await migrate(client);
    await client.end();
    const server = `${template.protocol}//${template.username}@${template.host}`;
    return await run(tests, { TEST_POSTGRES: server });
  } finally {
    await postgres.stop();
  }
}

async function run(tests: readonly string[], environment: Readonly<Record<string, string>>): Promise<number> {
  const child = Bun.spawn([process.execPath, 'test', '--timeout=60000', ...tests], {
    stdio: ['inherit', 'inherit', 'inherit'],
    env: { ...process.env, ...environment },
  });
  return await child.exited;
}

// npm run test:scale: PostgreSQL, several processes on it, and S3 servers. With names of tests, `-- test/http`, those, with their
// registries on PostgreSQL; what is about the files of SQLite fails there.
import { Client } from 'pg';
import { migrate } from '../../src/metadata/postgres/migrate.ts';
import { startPostgres } from './postgres-server.ts';
import { templateDatabase } from './shared-database.ts';

const postgres = await startPostgres();
try {
  const template = new URL(await postgres.newDatabase(templateDatabase));
  const client = new Client({ connectionString: template.href });
  await client.connect();
  await migrate(client);
  await client.end();
  const child = Bun.spawn(
    [
      process.execPath,
      'test',
      '--timeout=60000',
      ...(process.argv.length > 2 ? process.argv.slice(2) : ['test/scale']),
    ],
    {
      stdio: ['inherit', 'inherit', 'inherit'],
      env: { ...process.env, TEST_POSTGRES: `${template.protocol}//${template.username}@${template.host}` },
    },
  );
  process.exitCode = await child.exited;
} finally {
  await postgres.stop();
}

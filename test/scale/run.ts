// npm run test:scale: PostgreSQL, and several processes on it; then the tests of the API, with their registries on it.
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
      ...(process.argv.length > 2 ? process.argv.slice(2) : ['test/scale', 'test/http']),
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

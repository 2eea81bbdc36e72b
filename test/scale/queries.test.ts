import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Client } from 'pg';
import { everyQuery } from '../../src/metadata/every-query.ts';
import { migrate } from '../../src/metadata/postgres/migrate.ts';
import { dialects } from '../../src/metadata/query.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

describe('PostgreSQL understands', () => {
  let client: Client;

  beforeAll(async () => {
    client = new Client({ connectionString: await storage.postgres.newDatabase() });
    await client.connect();
    await migrate(client);
  });

  afterAll(async () => {
    await client.end();
  });

  for (const [index, query] of everyQuery.entries()) {
    test(query.name, async () => {
      const { sql } = query.compiled(dialects.postgres);
      await client.query(`prepare understood_${index} as ${sql}`);
      expect(index).toBeGreaterThanOrEqual(0);
    });
  }
});

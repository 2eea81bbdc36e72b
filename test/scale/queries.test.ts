import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Client } from 'pg';
import { everyQuery } from '../../src/metadata/every-query.ts';
import { migrate } from '../../src/metadata/postgres/migrate.ts';
import { dialects } from '../../src/metadata/query.ts';
import { type PostgresServer, startPostgres } from './postgres-server.ts';

let server: PostgresServer;
let client: Client;

beforeAll(async () => {
  server = await startPostgres();
  client = new Client({ connectionString: await server.newDatabase() });
  await client.connect();
  await migrate(client);
}, 120_000);

afterAll(async () => {
  await client.end();
  await server.stop();
});

describe('PostgreSQL understands', () => {
  for (const [index, query] of everyQuery.entries()) {
    test(query.name, async () => {
      const { sql } = query.compiled(dialects.postgres);
      await client.query(`prepare understood_${index} as ${sql}`);
      expect(index).toBeGreaterThanOrEqual(0);
    });
  }
});

import { afterAll, beforeAll } from 'bun:test';
import type { PostgresServer } from './postgres-server.ts';
import type { S3Server } from './s3-server.ts';

/** What is missing is installed, or built, before it is started. */
const startedWithinMs = 900_000;

/**
 * What the tests of a file keep rows and bytes in: servers that are started before the first of them, or the first of a
 * group, and ended after the last. Registries in this process may use the buckets. What else is started once for all tests,
 * and needs the servers to end, belongs into a group: it would be ended after them.
 */
export class StorageServers<Bucket extends S3Server = S3Server> {
  #postgres: PostgresServer | undefined;
  #s3: Bucket | undefined;

  constructor(start: { readonly postgres?: () => Promise<PostgresServer>; readonly s3?: () => Promise<Bucket> }) {
    beforeAll(async () => {
      [this.#postgres, this.#s3] = await Promise.all([start.postgres?.(), start.s3?.()]);
      Object.assign(process.env, this.#s3?.environment);
    }, startedWithinMs);
    afterAll(async () => {
      await Promise.all([this.#postgres?.stop(), this.#s3?.stop()]);
    });
  }

  get postgres(): PostgresServer {
    return started(this.#postgres);
  }

  get s3(): Bucket {
    return started(this.#s3);
  }
}

function started<Server>(server: Server | undefined): Server {
  if (server === undefined)
    throw new Error('it is not started: a test asks for what it has not named, or before it runs');
  return server;
}

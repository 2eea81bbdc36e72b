import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'bun:test';
import type { RunningServer } from '../../src/server/server.ts';
import type { Syncs } from '../../src/stores/syncs.ts';
import { digestOf } from '../http/content.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { startQuietServer } from '../server/quiet-server.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';

/** More than a process keeps before it hands it to the system: a writer that goes on with it writes at once. */
export const muchBytes = 3_000_000;

/** An upload session, as its row has it. */
export interface SessionRow {
  readonly oid: string;
  readonly epoch: number;
  readonly writer: string | null;
  readonly offset_bytes: number;
}

/**
 * Servers in this process that share a database and a directory of blobs, or what else their settings say, and uploads that
 * come to any of them.
 */
export class SharedDirectory implements AsyncDisposable {
  readonly tables: PostgresTables;
  readonly #directory = new TemporaryDirectory('shared');
  readonly #metadata: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #servers: RunningServer[] = [];
  readonly #adminTokens = new Map<RunningServer, string>();

  constructor(metadata: string, settings: Readonly<Record<string, string>> = {}) {
    this.#metadata = metadata;
    this.#settings = settings;
    this.tables = PostgresTables.at(metadata);
  }

  /** One more server, which collects nothing of what a test looks at. */
  async serve(syncs: Partial<Syncs> = {}, more: Readonly<Record<string, string>> = {}): Promise<RunningServer> {
    const own = { data: this.#directory.path, metadata: this.#metadata, 'collector.run': 'off' };
    const settings = { ...own, ...this.#settings, ...more };
    const server = await startQuietServer(settings, { database: {}, blobs: {}, ...syncs });
    this.#servers.push(server);
    // The next one writes its own in the same place.
    this.#adminTokens.set(server, readFileSync(join(this.#directory.path, 'admin.token'), 'utf8').trim());
    return server;
  }

  /** By what a server's admin API knows who may use it. */
  adminTokenOf(server: RunningServer): string {
    return this.#adminTokens.get(server) ?? '';
  }

  hasFileOf(oid: string): boolean {
    return existsSync(join(this.#directory.path, 'objects', oid.slice(0, 2), oid));
  }

  rowOf(session: string): SessionRow | undefined {
    return this.tables.rows<SessionRow>('select * from upload where id = ?', basename(session))[0];
  }

  /** Resolves once a session has had so many claims. */
  async untilClaimed(session: string, least: number): Promise<void> {
    await until(`claim ${least}`, () => (this.rowOf(session)?.epoch ?? 0) >= least);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
    this.#directory[Symbol.dispose]();
  }
}

export async function send(server: RunningServer, path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(new URL(path, server.url), init);
}

/** @returns the session's path */
export async function openSession(server: RunningServer): Promise<string> {
  const opened = await send(server, '/v2/app/blobs/uploads/', { method: 'POST' });
  expect(opened.status).toBe(202);
  return opened.headers.get('location') ?? '';
}

/** @returns the answer's status */
export async function patch(
  server: RunningServer,
  session: string,
  body: Uint8Array | ReadableStream<Uint8Array>,
): Promise<number> {
  return (await send(server, session, { method: 'PATCH', body })).status;
}

/** The closing PUT without bytes. @returns the answer's status */
export async function close(server: RunningServer, session: string, bytes: Uint8Array): Promise<number> {
  return (await send(server, `${session}?digest=${digestOf(bytes)}`, { method: 'PUT' })).status;
}

/** Expects that a blob can be pulled, and is what it was pushed as. */
export async function expectWhole(server: RunningServer, bytes: Uint8Array): Promise<void> {
  const pulled = await send(server, `/v2/app/blobs/${digestOf(bytes)}`);
  expect([pulled.status, digestOf(new Uint8Array(await pulled.arrayBuffer()))]).toEqual([200, digestOf(bytes)]);
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { AuditFile, type AuditFileParts } from '../../src/audit/audit-file.ts';
import { AuditFileTurn } from '../../src/audit/audit-file-turn.ts';
import { EventFeed } from '../../src/audit/event-feed.ts';
import { createLog } from '../../src/log/log.ts';
import { change, first } from '../../src/metadata/operation.ts';
import { auditFileMark, upsertAuditFile } from '../../src/metadata/queries/audit-files.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { anyClient } from '../../src/registry/actor.ts';
import { recordEvent } from '../../src/registry/events.ts';
import { openMetadata } from '../pairs/stores-beside.ts';

export const line = z.object({ id: z.number(), kind: z.string(), reason: z.string().optional() });

export async function linesOf(path: string) {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((part) => part !== '')
    .map((part) => line.parse(JSON.parse(part)));
}

/** The file's lines once there are so many; they come after what they tell of. */
export async function lines(path: string, count: number) {
  for (;;) {
    const found = await linesOf(path);
    if (found.length >= count) return found;
    await sleep(20);
  }
}

const writer = 'the writer of the tests';

/** What an audit file in a directory needs of a server. */
export class AuditParts implements AsyncDisposable {
  readonly metadata: MetadataStore;
  readonly feed: EventFeed;
  readonly logged: string[] = [];
  readonly log;
  readonly #directory: string;

  private constructor(
    directory: string,
    metadata: MetadataStore,
    log: Awaited<ReturnType<typeof createLog>>,
    logged: string[],
  ) {
    this.#directory = directory;
    this.metadata = metadata;
    this.feed = new EventFeed(metadata);
    this.log = log;
    this.logged = logged;
    metadata.watch(() => this.feed.notice());
  }

  static async open(directory: string): Promise<AuditParts> {
    const logged: string[] = [];
    const stream = { write: (text: string) => void logged.push(text) };
    const log = await createLog({ level: 'info', format: 'json', stream });
    return new AuditParts(directory, await openMetadata(directory), log, logged);
  }

  /** Opens the file as who has it for itself. */
  async file(others: Partial<AuditFileParts> = {}): Promise<AuditFile> {
    const { metadata, feed, log } = this;
    return await AuditFile.open({ metadata, feed, log, path: this.path('audit.jsonl'), writer, ...others });
  }

  /** A server's turn to write a file, as it takes it at its start. */
  async turn(name = 'audit.jsonl'): Promise<AuditFileTurn> {
    const { metadata, feed, log } = this;
    return await AuditFileTurn.open({ metadata, feed, log, path: this.path(name) });
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  /** How far the database remembers that the file has come. */
  async mark(): Promise<number> {
    return (await this.metadata.read(() => first(auditFileMark, { writer })))?.last_id ?? 0;
  }

  async remember(lastId: number): Promise<void> {
    await this.metadata.write(() => change(upsertAuditFile, { writer, lastId }));
  }

  async happen(reason: string): Promise<void> {
    await this.metadata.write(() => recordEvent({ at: 0, kind: 'collector.paused', actor: anyClient, reason }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.metadata.close();
  }
}

import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Log } from '../log/log.ts';
import { change, first, type Operation } from '../metadata/operation.ts';
import {
  auditFileMark,
  commonAuditMark,
  deleteAuditFilesBefore,
  foremostAuditFile,
  upsertAuditFile,
} from '../metadata/queries/audit-files.ts';
import { eventsAfter, firstEvent } from '../metadata/queries/events.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { endLastLine, lastLine } from './audit-file-end.ts';
import type { EventFeed } from './event-feed.ts';
import { type EventRow, shownEvent } from './event-row.ts';
import { waitUnlessAborted } from './wait.ts';

/** How the file is touched. A test lets these fail. */
export interface AuditFileCalls {
  write(file: FileHandle, bytes: Uint8Array): Promise<void>;
  /** So that a power cut takes back no file that was made. */
  syncDirectory(path: string): Promise<void>;
}

const auditFileCalls: AuditFileCalls = {
  async write(file, bytes) {
    // What the system has taken of a write that it could not finish is tried no further: the whole is written again.
    const { bytesWritten } = await file.write(bytes);
    if (bytesWritten < bytes.byteLength)
      throw new Error(`only ${bytesWritten} of ${bytes.byteLength} bytes were written`);
    await file.datasync();
  },
  async syncDirectory(path) {
    const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
};

export interface AuditFileParts {
  readonly path: string;
  /** The id of who writes it; nobody else does meanwhile. */
  readonly writer: string;
  readonly metadata: MetadataStore;
  readonly feed: EventFeed;
  readonly log: Log;
  readonly calls?: Partial<AuditFileCalls>;
  /** Between two tries while it cannot be written, in ms: at first, and at most. */
  readonly retryMs?: { readonly first: number; readonly most: number };
}

/** Rights of a file that is made: the user's own, and to be read by a group that collects logs. */
const mode = 0o640;
/** How often it is looked whether the file was moved away while nothing happens, in ms. */
const idleMs = 60_000;
/** How long the first event to be written, and at the end the last, is waited for while transactions go on, in ms. */
const patienceMs = 5000;

/**
 * Appends every event to a file, as a line of JSON, once it is committed and on the disk. The file's own last line says how
 * far it has come, and where it was moved away, what the database remembers of its writer: so nothing is left out, also
 * while other files go on, and a file that cannot be written is caught up with later. Only where it is moved away between
 * a crash and the next start, the last lines come twice, with the same `id`. No request waits for it.
 */
export class AuditFile {
  readonly #parts: Omit<AuditFileParts, 'calls' | 'retryMs'> & Required<Pick<AuditFileParts, 'retryMs'>>;
  readonly #calls: AuditFileCalls;
  readonly #ending = new AbortController();
  #file: FileHandle;
  #lastId: number;
  #mustReopen = false;
  #isFailing = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(parts: AuditFileParts, file: FileHandle, lastId: number) {
    this.#parts = { retryMs: { first: 1000, most: 60_000 }, ...parts };
    this.#calls = { ...auditFileCalls, ...parts.calls };
    this.#file = file;
    this.#lastId = lastId;
  }

  /**
   * Opens or makes the file. One that is new begins where the registry's files have come to; where it never had one, with
   * what happens from now on.
   */
  static async open(parts: AuditFileParts): Promise<AuditFile> {
    const file = await opened(parts.path, { ...auditFileCalls, ...parts.calls });
    try {
      const { known, lastId } = await begunAt(file, parts);
      const audit = new AuditFile(parts, file, lastId);
      if (lastId !== known) await audit.#remember(true);
      return audit;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  start(): void {
    this.#running = this.#run();
  }

  /** The file was moved away by whoever rotates logs: from the next event on a new one is written. */
  reopen(): void {
    this.#mustReopen = true;
  }

  /** Writes what has happened until now, where that can be done, and closes the file. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    try {
      // What is committed while others with smaller numbers may be is written now rather than at the next start.
      await this.#parts.feed.lastId(patienceMs);
      while (await this.#writeNext());
    } catch (error) {
      this.#parts.log.warn({ err: error, file: this.#parts.path }, 'the audit file lacks events until the next start');
    }
    await this.#file.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let { first: waitMs } = this.#parts.retryMs;
    while (!signal.aborted) {
      try {
        // What it brings is read again below, so that what could not be written is not lost with it.
        for await (const rows of this.#parts.feed.follow(this.#lastId, { heartbeatMs: idleMs, signal })) {
          if (rows.length > 0) await this.#write(rows);
          waitMs = this.#parts.retryMs.first;
        }
        return;
      } catch (error) {
        if (!this.#isFailing) {
          this.#parts.log.warn(
            { err: error, file: this.#parts.path },
            'the audit file cannot be written; what happens meanwhile is written to it once it can be',
          );
        }
        this.#isFailing = true;
      }
      await waitUnlessAborted(waitMs, signal);
      waitMs = Math.min(2 * waitMs, this.#parts.retryMs.most);
    }
  }

  async #writeNext(): Promise<boolean> {
    const rows = await this.#parts.feed.next(this.#lastId);
    if (rows.length > 0) await this.#write(rows);
    return rows.length > 0;
  }

  async #write(next: readonly EventRow[]): Promise<void> {
    await this.#reopenIfMoved();
    const rows = next.filter(({ id }) => id > this.#lastId);
    const { size } = await this.#file.stat();
    const text = rows.map((row) => `${lineOf(row)}\n`).join('');
    try {
      await this.#calls.write(this.#file, new TextEncoder().encode(text));
    } catch (error) {
      // Half a line would spoil the next one. Where that fails too, it is cut off before the next is written.
      await this.#file.truncate(size).catch(() => this.reopen());
      throw error;
    }
    this.#lastId = rows.at(-1)?.id ?? this.#lastId;
    if (this.#isFailing) this.#parts.log.info({ file: this.#parts.path }, 'the audit file is written again');
    this.#isFailing = false;
    await this.#remember();
  }

  /**
   * Where that fails, lines come twice after a restart.
   * @param isFirst whether files that nobody has written for long are forgotten as well
   */
  async #remember(isFirst = false): Promise<void> {
    const { metadata, writer, log, path } = this.#parts;
    const lastId = this.#lastId;
    try {
      await metadata.writeUnsynced(
        function* remember(): Operation<void> {
          yield* change(upsertAuditFile, { writer, lastId });
          if (isFirst) yield* forgetOthers(writer);
        },
        { fromReserve: true, whileReadOnly: true },
      );
    } catch (error) {
      log.warn({ err: error, file: path }, 'it could not be remembered how far the audit file has come');
    }
  }

  async #reopenIfMoved(): Promise<void> {
    if (!this.#mustReopen) {
      const [there, ours] = await Promise.all([stat(this.#parts.path).catch(() => undefined), this.#file.stat()]);
      if (there?.ino === ours.ino && there.dev === ours.dev) return;
    }
    const next = await opened(this.#parts.path, this.#calls);
    this.#mustReopen = false;
    await this.#file.close().catch(() => undefined);
    this.#file = next;
    // Lines that are there of a batch that failed, and that could not be cut off.
    this.#lastId = Math.max(this.#lastId, (await lastWritten(next, this.#parts.metadata)) ?? 0);
  }
}

const lineOf = (row: EventRow): string => JSON.stringify(shownEvent(row));

/** Opens a file, or makes one, at its end, which is the end of a line. */
async function opened(path: string, calls: AuditFileCalls): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT;
  const isNew = await stat(path).then(
    () => false,
    () => true,
  );
  const file = await open(path, flags, mode);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new Error(`${path} is not a file`);
    // Whatever the umask is.
    if (isNew) await file.chmod(mode);
    if (isNew) await calls.syncDirectory(dirname(path));
    await endLastLine(file);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** How far a file has come, and what the database knows of that. */
async function begunAt(
  file: FileHandle,
  { writer, metadata, feed }: AuditFileParts,
): Promise<{ readonly known: number | undefined; readonly lastId: number }> {
  const known = (await metadata.read(() => first(auditFileMark, { writer })))?.last_id;
  const own = (await lastWritten(file, metadata)) ?? known ?? (await lastExpired(file, metadata));
  return { known, lastId: own ?? (await metadata.read(foremost)) ?? (await feed.lastId(patienceMs)) };
}

/**
 * The event that a file's last line tells; undefined where that is not what this registry writes of one of its events. It
 * was settled when it was written, also where this process does not know that yet, as transactions are under way.
 */
async function lastWritten(file: FileHandle, metadata: MetadataStore): Promise<number | undefined> {
  const line = await lastLine(file);
  const id = idOf(line);
  if (id === undefined) return undefined;
  const row = await metadata.read(() => first(eventsAfter, { id: id - 1, upTo: id, limit: 1 }));
  return row !== undefined && lineOf(row) === line ? id : undefined;
}

/** The same where the event is gone since, with all before it, so that nothing can be left out. */
async function lastExpired(file: FileHandle, metadata: MetadataStore): Promise<number | undefined> {
  const id = idOf(await lastLine(file));
  const oldest = await metadata.read(() => first(firstEvent, {}));
  return id !== undefined && oldest !== undefined && id < oldest.id ? id : undefined;
}

function idOf(line: string | undefined): number | undefined {
  const id = line === undefined ? undefined : /^\{"id":(?<id>\d{1,15}),/.exec(line)?.groups?.['id'];
  return id === undefined ? undefined : Number(id);
}

/** Forgets the files of others that nobody has written for so long that the events are gone which would be next. */
function* forgetOthers(writer: string): Operation<void> {
  const oldest = yield* first(firstEvent, {});
  if (oldest !== undefined) yield* change(deleteAuditFilesBefore, { id: oldest.id - 1, writer });
}

/** How far the file has come that has come the furthest, also of versions that knew of one only. */
function* foremost(): Operation<number | undefined> {
  const ids = [(yield* first(foremostAuditFile, {}))?.last_id, (yield* first(commonAuditMark, {}))?.last_id];
  const known = ids.filter((id) => id !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

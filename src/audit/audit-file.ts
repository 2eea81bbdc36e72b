import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Log } from '../log/log.ts';
import { change, first } from '../metadata/operation.ts';
import { auditMark, upsertAuditMark } from '../metadata/queries/audit-mark.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { EventFeed } from './event-feed.ts';
import { type EventRow, shownEvent } from './event-row.ts';

/** How the file is touched. A test lets these fail. */
export interface AuditFileCalls {
  write(file: FileHandle, bytes: Uint8Array): Promise<void>;
}

const auditFileCalls: AuditFileCalls = {
  async write(file, bytes) {
    // What the system has taken of a write that it could not finish is tried no further: the whole is written again.
    const { bytesWritten } = await file.write(bytes);
    if (bytesWritten < bytes.byteLength)
      throw new Error(`only ${bytesWritten} of ${bytes.byteLength} bytes were written`);
    await file.datasync();
  },
};

export interface AuditFileParts {
  readonly path: string;
  readonly metadata: MetadataStore;
  readonly feed: EventFeed;
  readonly log: Log;
  readonly calls?: AuditFileCalls;
  /** Between two tries while it cannot be written, in ms: at first, and at most. */
  readonly retryMs?: { readonly first: number; readonly most: number };
}

/** Rights of a file that is made: the user's own, and to be read by a group that collects logs. */
const mode = 0o640;
/** How often it is looked whether the file was moved away while nothing happens, in ms. */
const idleMs = 60_000;

/**
 * Appends every event to a file, as a line of JSON, once it is committed and on the disk. The database remembers how far
 * it has come, so nothing is left out: a file that cannot be written is caught up with later, and after a crash the last
 * lines may come twice, with the same `id`. No request waits for it.
 */
export class AuditFile {
  readonly #parts: Required<AuditFileParts>;
  readonly #ending = new AbortController();
  #file: FileHandle;
  #lastId: number;
  #mustReopen = false;
  #isFailing = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(parts: AuditFileParts, file: FileHandle, lastId: number) {
    this.#parts = { calls: auditFileCalls, retryMs: { first: 1000, most: 60_000 }, ...parts };
    this.#file = file;
    this.#lastId = lastId;
  }

  /** Opens or makes the file. A registry that never had one begins with what happens from now on. */
  static async open(parts: AuditFileParts): Promise<AuditFile> {
    const file = await opened(parts.path);
    const known = (await parts.metadata.read(() => first(auditMark, {})))?.last_id;
    const audit = new AuditFile(parts, file, known ?? (await parts.feed.lastId()));
    if (known === undefined) await audit.#remember();
    return audit;
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
      await sleep(waitMs, signal);
      waitMs = Math.min(2 * waitMs, this.#parts.retryMs.most);
    }
  }

  async #writeNext(): Promise<boolean> {
    const rows = await this.#parts.feed.next(this.#lastId);
    if (rows.length > 0) await this.#write(rows);
    return rows.length > 0;
  }

  async #write(rows: readonly EventRow[]): Promise<void> {
    await this.#reopenIfMoved();
    const { size } = await this.#file.stat();
    const text = rows.map((row) => `${JSON.stringify(shownEvent(row))}\n`).join('');
    try {
      await this.#parts.calls.write(this.#file, new TextEncoder().encode(text));
    } catch (error) {
      // Half a line would spoil the next one.
      await this.#file.truncate(size).catch(() => undefined);
      throw error;
    }
    this.#lastId = rows.at(-1)?.id ?? this.#lastId;
    if (this.#isFailing) this.#parts.log.info({ file: this.#parts.path }, 'the audit file is written again');
    this.#isFailing = false;
    await this.#remember();
  }

  /** Where that fails, lines come twice after a restart. */
  async #remember(): Promise<void> {
    const { metadata, log, path } = this.#parts;
    try {
      await metadata.writeUnsynced(() => change(upsertAuditMark, { lastId: this.#lastId }), { fromReserve: true });
    } catch (error) {
      log.warn({ err: error, file: path }, 'it could not be remembered how far the audit file has come');
    }
  }

  async #reopenIfMoved(): Promise<void> {
    if (!this.#mustReopen) {
      const [there, ours] = await Promise.all([stat(this.#parts.path).catch(() => undefined), this.#file.stat()]);
      if (there?.ino === ours.ino && there.dev === ours.dev) return;
    }
    const next = await opened(this.#parts.path);
    this.#mustReopen = false;
    await this.#file.close();
    this.#file = next;
  }
}

/** Opens a file at its end, which is the end of a line. */
async function opened(path: string): Promise<FileHandle> {
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
    if (found.size === 0) return file;
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, found.size - 1);
    if (buffer.toString() !== '\n') await file.write('\n');
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}

import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { CheckpointState } from './checkpoint.ts';

const answerSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), log: z.int(), checkpointed: z.int() }),
  z.object({ ok: z.literal(false), message: z.string(), code: z.string() }),
]);

/** What the thread answers. */
export type PassAnswer = z.infer<typeof answerSchema>;

/** SQLite could not move the log into the database file. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
  /** SQLite's name for what was wrong. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** A thread with a connection of its own that moves the log into the database file. */
export class CheckpointThread {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #answer: PromiseWithResolvers<CheckpointState> | undefined;
  #hasEnded = false;

  constructor(databasePath: string) {
    this.#worker = new Worker(new URL('./checkpoint-worker.ts', import.meta.url), { workerData: databasePath });
    this.#worker.unref();
    this.#worker.on('message', (message: unknown) => {
      const answer = answerSchema.parse(message);
      if (answer.ok) this.#answer?.resolve(answer);
      else this.#answer?.reject(new CheckpointError(answer.message, answer.code));
    });
    this.#worker.on('error', (error: unknown) => this.#answer?.reject(error));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#hasEnded = true;
        this.#answer?.reject(ended());
        resolve();
      });
    });
  }

  /** Whether it takes no more passes. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Moves what it can, one pass at a time. @throws CheckpointError, or another error where the thread has ended */
  async pass(): Promise<CheckpointState> {
    if (this.#hasEnded) throw ended();
    const answer = Promise.withResolvers<CheckpointState>();
    this.#answer = answer;
    this.#worker.postMessage('pass');
    return await answer.promise;
  }

  /** Resolves when its connection is closed. */
  async close(): Promise<void> {
    this.#worker.postMessage('close');
    await this.#ended;
  }
}

function ended(): Error {
  return new Error('the thread that moves the log into the database file has ended');
}

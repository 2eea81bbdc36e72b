import { randomBytes } from 'node:crypto';
import type { Log } from '../log/log.ts';
import type { SiblingTopic } from '../registry/siblings.ts';
import { type SupervisorMessage, type WorkerMessage, workerMessage } from './messages.ts';

/** How long it waits before it starts a worker in the place of one that has died, in ms: twice as long each time. */
const restartMs = { least: 100, most: 10_000 };
/** A worker that has lived for so long, in ms, was sound: its death is the first one again. */
const soundMs = 60_000;
/** How much longer than its clients may take a worker may take to end, in ms, before it is killed. */
const endGraceMs = 30_000;

/** A process that the supervisor has started. */
export interface WorkerProcess {
  readonly pid: number;
  /** Resolves when it has ended, with its exit code, or the signal that has ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  send(message: SupervisorMessage): void;
  kill(signal: NodeJS.Signals): void;
}

export interface SupervisorParts {
  readonly count: number;
  readonly start: (index: number, receive: (message: unknown) => void) => WorkerProcess;
  readonly log: Log;
  /** How long transfers may go on when it ends, in ms. */
  readonly drainMs: number;
}

interface Worker {
  readonly index: number;
  readonly process: WorkerProcess;
  readonly startedAt: number;
  isPlaced: boolean;
  isServing: boolean;
}

/** A question to all workers but one, until all have answered. */
interface Question {
  readonly asker: Worker;
  readonly id: number;
  readonly waitingFor: Set<Worker>;
  readonly payloads: unknown[];
  areDone: boolean;
}

/**
 * Starts the processes that serve one registry, starts another one in the place of each that dies, and carries what they
 * have to tell each other. It opens neither of the stores, and has nothing to lose: who kills it ends the workers too.
 */
export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #workers = new Map<number, Worker>();
  readonly #deaths = new Map<number, number>();
  readonly #questions = new Map<number, Question>();
  readonly #operatorToken = randomBytes(32).toString('base64url');
  readonly #secret = randomBytes(32).toString('base64url');
  readonly #firstServing = Promise.withResolvers<string>();
  readonly #allServing = Promise.withResolvers<void>();
  readonly #allEnded = Promise.withResolvers<void>();
  #asked = 0;
  #ports: readonly number[] | undefined;
  #keeperOrigin: string | undefined;
  #isEnding = false;
  /** The disk has lost something, which only a start after the end of all workers finds out. */
  #isBroken = false;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  /**
   * Starts the first worker, and the others once that serves. @returns where they serve; where the first worker ends
   * before that, how it has ended
   */
  async start(): Promise<{ readonly url: string } | { readonly endedWith: number | NodeJS.Signals }> {
    const first = this.#start(0);
    const endedWith = await Promise.race([first.process.ended, this.#firstServing.promise.then(() => undefined)]);
    if (endedWith !== undefined) return { endedWith };
    for (let index = 1; index < this.#parts.count; index++) this.#start(index);
    if (this.#parts.count > 1) await Promise.race([this.#allServing.promise, this.#allEnded.promise]);
    return { url: await this.#firstServing.promise };
  }

  /** Hands a signal on to all workers. */
  signal(signal: NodeJS.Signals): void {
    for (const { process } of this.#workers.values()) process.kill(signal);
  }

  /** Asks all workers to end, and resolves when they have; those are killed that do not. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    this.signal('SIGTERM');
    const limit = setTimeout(() => this.signal('SIGKILL'), this.#parts.drainMs + endGraceMs);
    await Promise.all([...this.#workers.values()].map(({ process }) => process.ended));
    clearTimeout(limit);
  }

  #start(index: number): Worker {
    const worker: Worker = {
      index,
      process: this.#parts.start(index, (message) => this.#receive(worker, workerMessage.parse(message))),
      startedAt: performance.now(),
      isPlaced: false,
      isServing: false,
    };
    this.#workers.set(index, worker);
    void this.#watch(worker);
    return worker;
  }

  async #watch(worker: Worker): Promise<void> {
    const { index, process } = worker;
    const endedWith = await process.ended;
    this.#workers.delete(index);
    if (index === 0) this.#tellKeeper(undefined);
    for (const [number, question] of this.#questions) {
      if (question.asker === worker) this.#questions.delete(number);
      else this.#answered(number, worker);
    }
    if (this.#workers.size === 0 && (this.#isEnding || this.#isBroken)) this.#allEnded.resolve();
    // Without the first one nothing has begun.
    if (this.#isEnding || this.#ports === undefined) return;
    const { log } = this.#parts;
    if (this.#isBroken) {
      log.error({ worker: index, pid: process.pid, endedWith }, 'a worker has died, and none takes its place: restart');
      return;
    }
    const livedMs = performance.now() - worker.startedAt;
    const deaths = livedMs >= soundMs ? 0 : (this.#deaths.get(index) ?? 0);
    this.#deaths.set(index, deaths + 1);
    const againMs = Math.min(restartMs.most, restartMs.least * 2 ** Math.min(deaths, 10));
    log.error({ worker: index, pid: process.pid, endedWith, againMs }, 'a worker has died; another takes its place');
    setTimeout(() => {
      if (!this.#isEnding && !this.#isBroken) this.#start(index);
    }, againMs);
  }

  #receive(worker: Worker, message: WorkerMessage): void {
    switch (message.kind) {
      case 'ready':
        return this.#place(worker);
      case 'serving':
        return this.#serves(worker, message);
      case 'keeping':
        return this.#tellKeeper(message.origin);
      case 'ask':
        return this.#ask(worker, message);
      case 'answer': {
        const question = this.#questions.get(message.id);
        if (question === undefined || !question.waitingFor.has(worker)) return;
        question.payloads.push(message.payload);
        question.areDone &&= message.isDone;
        return this.#answered(message.id, worker);
      }
    }
  }

  #place(worker: Worker): void {
    const { index } = worker;
    // Whoever opens the log after the disk has lost something is told nothing of that: its syncs would succeed.
    if (this.#isBroken) return worker.process.kill('SIGKILL');
    worker.isPlaced = true;
    worker.process.send({
      kind: 'go',
      placement: {
        index,
        count: this.#parts.count,
        isFirst: this.#ports === undefined,
        ports: [...(this.#ports ?? [])],
        operatorToken: this.#operatorToken,
        secret: this.#secret,
      },
    });
    if (this.#keeperOrigin !== undefined) worker.process.send({ kind: 'keeper', origin: this.#keeperOrigin });
  }

  #serves(worker: Worker, { url, ports }: { readonly url: string; readonly ports: readonly number[] }): void {
    worker.isServing = true;
    this.#ports ??= ports;
    this.#firstServing.resolve(url);
    const serving = [...this.#workers.values()].filter(({ isServing }) => isServing);
    if (serving.length === this.#parts.count) this.#allServing.resolve();
    this.#parts.log.debug({ worker: worker.index, pid: worker.process.pid }, 'a worker serves');
  }

  #tellKeeper(origin: string | undefined): void {
    this.#keeperOrigin = origin;
    for (const { process, isPlaced } of this.#workers.values()) {
      if (isPlaced) process.send({ kind: 'keeper', ...(origin !== undefined && { origin }) });
    }
  }

  /** Those that have no place yet have opened nothing, and so have nothing to do with it. */
  #ask(
    asker: Worker,
    {
      id,
      topic,
      payload,
    }: { readonly id?: number | undefined; readonly topic: SiblingTopic; readonly payload?: unknown },
  ): void {
    if (topic === 'broken') this.#isBroken = true;
    const others = [...this.#workers.values()].filter((worker) => worker !== asker && worker.isPlaced);
    const number = ++this.#asked;
    for (const { process } of others) process.send({ kind: 'ask', id: number, topic, payload });
    if (id === undefined) return;
    this.#questions.set(number, { asker, id, waitingFor: new Set(others), payloads: [], areDone: true });
    this.#answered(number, undefined);
  }

  #answered(number: number, worker: Worker | undefined): void {
    const question = this.#questions.get(number);
    if (question === undefined) return;
    if (worker !== undefined) question.waitingFor.delete(worker);
    if (question.waitingFor.size > 0) return;
    this.#questions.delete(number);
    const { asker, id, areDone, payloads } = question;
    asker.process.send({ kind: 'answers', id, areDone, payloads });
  }
}

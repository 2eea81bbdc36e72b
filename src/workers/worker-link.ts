import type { Log } from '../log/log.ts';
import { SiblingBusyError, type SiblingHandler, type Siblings, type SiblingTopic } from '../registry/siblings.ts';
import { type Placement, supervisorMessage, type WorkerMessage } from './messages.ts';

/** How long the others may take to answer, in ms. */
const answerLimitMs = 30_000;
const notDone = 'what another worker has asked for could not be done';

/** A process's way to the one that has started it. */
export interface ParentChannel {
  send(message: WorkerMessage): void;
  onMessage(receive: (message: unknown) => void): void;
  /** The other end is gone. */
  onGone(gone: () => void): void;
}

/** The channel that the runtime opens to whoever has started this process; undefined where nobody has asked it to. */
export function parentChannel(): ParentChannel | undefined {
  if (process.send === undefined) return undefined;
  return {
    send: (message) => void process.send?.(message),
    onMessage: (receive) => void process.on('message', receive),
    onGone: (gone) => void process.on('disconnect', gone),
  };
}

export interface LinkParts {
  /** Ends this process at once: nobody supervises it any more, and others may soon take its place. */
  readonly end: () => void;
  /** Its part of the lock; undefined where others than the workers of this supervisor may use the same stores. */
  readonly lock: Disposable | undefined;
  readonly log: Log;
}

/** A worker's side of the channel to its supervisor, through which it also reaches the other workers. */
export class WorkerLink implements Siblings {
  readonly areAll: boolean;
  /** Its part of the data directory, which it has until the end of the process. */
  readonly lock: Disposable | undefined;
  readonly #log: Log;
  readonly #channel: ParentChannel;
  readonly #handlers = new Map<SiblingTopic, SiblingHandler>();
  readonly #asked = new Map<number, PromiseWithResolvers<readonly unknown[]>>();
  readonly #placed = Promise.withResolvers<Placement>();
  /** What it was told of the disk before it had opened what that is about. */
  #earlyBroken: { readonly payload: unknown } | undefined;
  #asks = 0;
  #keeperOrigin: string | undefined;

  constructor(channel: ParentChannel, { end, lock, log }: LinkParts) {
    this.areAll = lock !== undefined;
    this.lock = lock;
    this.#log = log;
    this.#channel = channel;
    channel.onMessage((message) => this.#receive(message));
    channel.onGone(end);
  }

  /**
   * To be called when this process holds its part of the lock. What it is told then was said by a supervisor that was
   * alive, and held its own, after that: so nobody else has taken the directory, or can as long as this process lives.
   */
  async place(): Promise<Placement> {
    this.#channel.send({ kind: 'ready' });
    return await this.#placed.promise;
  }

  /** It listens. */
  serving(url: string, ports: readonly number[]): void {
    this.#channel.send({ kind: 'serving', url, ports: [...ports] });
  }

  /** This one is the keeper, and answers the others there. */
  keeping(origin: string): void {
    this.#channel.send({ kind: 'keeping', origin });
  }

  /** Where the keeper answers; undefined while there is none. */
  get keeperOrigin(): string | undefined {
    return this.#keeperOrigin;
  }

  async ask(topic: SiblingTopic, payload: unknown): Promise<readonly unknown[]> {
    const id = ++this.#asks;
    const answers = Promise.withResolvers<readonly unknown[]>();
    this.#asked.set(id, answers);
    const limit = setTimeout(
      () => answers.reject(new SiblingBusyError('another worker of this registry does not answer')),
      answerLimitMs,
    );
    try {
      this.#channel.send({ kind: 'ask', id, topic, payload });
      return await answers.promise;
    } finally {
      clearTimeout(limit);
      this.#asked.delete(id);
    }
  }

  tell(topic: SiblingTopic, payload: unknown): void {
    this.#channel.send({ kind: 'ask', topic, payload });
  }

  hear(topic: SiblingTopic, handler: SiblingHandler): void {
    this.#handlers.set(topic, handler);
    const early = this.#earlyBroken;
    if (topic !== 'broken' || early === undefined) return;
    this.#earlyBroken = undefined;
    handler(early.payload).catch((error: unknown) => this.#log.error({ err: error, topic }, notDone));
  }

  #receive(message: unknown): void {
    const said = supervisorMessage.parse(message);
    switch (said.kind) {
      case 'go':
        return this.#placed.resolve(said.placement);
      case 'keeper':
        this.#keeperOrigin = said.origin;
        return;
      case 'ask':
        void this.#answer(said.id, said.topic, said.payload);
        return;
      case 'answers':
        // One that is being started does nothing yet that it could answer for.
        if (said.areDone) return this.#asked.get(said.id)?.resolve(said.payloads.filter((each) => each !== null));
        return this.#asked.get(said.id)?.reject(new SiblingBusyError('another worker of this registry has failed'));
    }
  }

  async #answer(id: number, topic: SiblingTopic, payload: unknown): Promise<void> {
    const handler = this.#handlers.get(topic);
    if (handler === undefined && topic === 'broken') this.#earlyBroken = { payload };
    try {
      const answer = await handler?.(payload);
      this.#channel.send({ kind: 'answer', id, isDone: true, payload: answer ?? null });
    } catch (error) {
      this.#log.error({ err: error, topic }, notDone);
      this.#channel.send({ kind: 'answer', id, isDone: false, payload: null });
    }
  }
}

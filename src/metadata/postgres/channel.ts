import { randomBytes } from 'node:crypto';
import type { Client, QueryConfig } from 'pg';
import { type Topic, topics } from '../store.ts';

/** On which all processes that share a database listen. */
const channelName = 'wherry';
/** How soon, and how late at most, it is tried again to connect, in ms: twice as late after each failure. */
const reconnectMs = { least: 100, most: 5000 };
/** So long after it something is announced, in ms, so that many commits share one. */
const gatherMs: Readonly<Record<Topic, number>> = { commit: 200, purge: 0, confirmed: 0 };

export interface ChannelParts {
  /** Makes a client that is not connected yet. */
  readonly newClient: () => Client;
  /** Runs a statement on any connection. */
  readonly run: (sql: string, parameters: readonly string[]) => Promise<unknown>;
  readonly onLost: (error: unknown) => void;
}

/**
 * What the processes that share a database tell each other (LISTEN and NOTIFY). Who listens has a connection for that; one
 * that is lost is made again. What was announced meanwhile was missed, so every topic counts as announced then.
 */
export class Channel {
  readonly #parts: ChannelParts;
  /** By which it knows its own announcements. */
  readonly #tag = randomBytes(8).toString('hex');
  readonly #listeners: ((topic: Topic) => void)[] = [];
  readonly #gathering = new Map<Topic, ReturnType<typeof setTimeout>>();
  #listening: Client | undefined;
  #connecting: Promise<void> | undefined;
  #reconnecting: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #isClosed = false;

  constructor(parts: ChannelParts) {
    this.#parts = parts;
  }

  /** Listens from now on. */
  listen(heard: (topic: Topic) => void): void {
    this.#listeners.push(heard);
    if (this.#listeners.length === 1) this.#connect();
  }

  /** Asks the database on the connection that listens, which nobody else uses. @throws where there is none, or no answer */
  async ask(what: QueryConfig): Promise<void> {
    if (this.#listening === undefined) throw new Error('no connection listens');
    await this.#listening.query(what);
  }

  announce(topic: Topic): void {
    if (this.#isClosed || this.#gathering.has(topic)) return;
    const timer = setTimeout(() => void this.#send(topic), gatherMs[topic]);
    timer.unref();
    this.#gathering.set(topic, timer);
  }

  /** Announces what is still to be, and ends. */
  async close(): Promise<void> {
    await Promise.all([...this.#gathering.keys()].map((topic) => this.#send(topic)));
    this.#isClosed = true;
    clearTimeout(this.#reconnecting);
    await this.#connecting;
    await this.#listening?.end().catch(() => undefined);
  }

  async #send(topic: Topic): Promise<void> {
    clearTimeout(this.#gathering.get(topic));
    this.#gathering.delete(topic);
    try {
      await this.#parts.run('select pg_notify($1, $2)', [channelName, `${topic} ${this.#tag}`]);
    } catch {
      // The others find out by themselves.
    }
  }

  #connect(): void {
    this.#connecting = this.#begin().finally(() => {
      this.#connecting = undefined;
    });
  }

  async #begin(): Promise<void> {
    const client = this.#parts.newClient();
    let isOver = false;
    const lost = (error: unknown): void => {
      if (isOver) return;
      isOver = true;
      if (this.#listening === client) this.#listening = undefined;
      endQuietly(client);
      this.#connectLater(error);
    };
    client.on('error', lost);
    client.on('end', () => lost(new Error('the connection has ended')));
    client.on('notification', ({ payload = '' }) => this.#hear(payload));
    try {
      await client.connect();
      await client.query(`listen ${channelName}`);
    } catch (error) {
      lost(error);
      return;
    }
    if (isOver) return;
    if (this.#isClosed) {
      isOver = true;
      endQuietly(client);
      return;
    }
    this.#listening = client;
    this.#failures = 0;
    for (const topic of topics) this.#tell(topic);
  }

  #connectLater(error: unknown): void {
    if (this.#isClosed) return;
    if (this.#failures === 0) this.#parts.onLost(error);
    const waitMs = Math.min(reconnectMs.most, reconnectMs.least * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    this.#reconnecting = setTimeout(() => this.#connect(), waitMs);
    this.#reconnecting.unref();
  }

  #hear(payload: string): void {
    const [word, tag] = payload.split(' ');
    const topic = topics.find((each) => each === word);
    if (topic !== undefined && tag !== this.#tag) this.#tell(topic);
  }

  #tell(topic: Topic): void {
    for (const heard of this.#listeners) heard(topic);
  }
}

function endQuietly(client: Client): void {
  client.end().catch(() => undefined);
}

import { z } from 'zod';

/** What processes that serve one registry have to tell each other. */
export type SiblingTopic =
  /** Contents are purged: what sends them is broken off. */
  | 'purged'
  /** A request goes on with an upload session: those before it end. */
  | 'upload'
  /** A closing PUT is repeated: it waits for one before it that verifies the bytes. */
  | 'closing'
  /** Pulls that are only remembered are to be written. */
  | 'pulls'
  /** What has been counted. */
  | 'metrics'
  /** The database was accepted as it is. */
  | 'settled'
  /** Somebody has tried to log in. */
  | 'login'
  /** The disk has lost what was written to the database. */
  | 'broken';

export type SiblingHandler = (payload: unknown) => Promise<unknown>;

/** Another process has not answered in time. */
export class SiblingBusyError extends Error {
  override readonly name = 'SiblingBusyError';
}

/** The other processes of this machine that serve the same registry. */
export interface Siblings {
  /**
   * Whether no other process than these can use the stores: then what all of them have confirmed is so everywhere, and a
   * process that has ended does nothing any more.
   */
  readonly areAll: boolean;

  /**
   * Asks all of them, and resolves with their answers; one that ends meanwhile, or does nothing yet, has none.
   * @throws SiblingBusyError where one does not answer in time
   */
  ask(topic: SiblingTopic, payload: unknown): Promise<readonly unknown[]>;

  /** Tells all of them, and waits for nobody. */
  tell(topic: SiblingTopic, payload: unknown): void;

  /** Says what is done when another one asks or tells. */
  hear(topic: SiblingTopic, handler: SiblingHandler): void;
}

/** Where one process serves alone, as far as this machine goes. */
export const noSiblings: Siblings = {
  areAll: false,
  ask: () => Promise.resolve([]),
  tell: () => undefined,
  hear: () => undefined,
};

export const siblingTopic: z.ZodType<SiblingTopic> = z.enum([
  'purged',
  'upload',
  'closing',
  'pulls',
  'metrics',
  'settled',
  'login',
  'broken',
]);

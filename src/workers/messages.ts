import { z } from 'zod';
import { siblingTopic } from '../registry/siblings.ts';

/** What a worker tells the process that supervises it. */
export const workerMessage = z.discriminatedUnion('kind', [
  /** It holds its part of the lock of the data directory, and opens nothing before it is told to go on. */
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('serving'), url: z.string(), ports: z.array(z.int()) }),
  /** Where the worker that does what is done once for all answers the others; undefined of those. */
  z.object({ kind: z.literal('keeping'), origin: z.string() }),
  /** `id` where it waits for the answers of all the others. */
  z.object({ kind: z.literal('ask'), id: z.int().optional(), topic: siblingTopic, payload: z.unknown() }),
  /** `isDone`: what was asked for is so; else nobody may go on as if it were. */
  z.object({ kind: z.literal('answer'), id: z.int(), isDone: z.boolean(), payload: z.unknown() }),
]);
export type WorkerMessage = z.infer<typeof workerMessage>;

const placement = z.object({
  /** From 0. */
  index: z.int(),
  count: z.int(),
  /** Whether the port may be taken that the configuration says; else it has been found, and others listen there. */
  isFirst: z.boolean(),
  /** Where to listen, door by door; empty for the first. */
  ports: z.array(z.int()),
  /** The password of this run, for the operator's programs. */
  operatorToken: z.string(),
  /** What the workers of this run know, and nobody else. */
  secret: z.string(),
});
/** A worker's place among the others. */
export type Placement = z.infer<typeof placement>;

/** What a worker is told. */
export const supervisorMessage = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('go'), placement }),
  z.object({ kind: z.literal('keeper'), origin: z.string().optional() }),
  z.object({ kind: z.literal('ask'), id: z.int(), topic: siblingTopic, payload: z.unknown() }),
  z.object({ kind: z.literal('answers'), id: z.int(), areDone: z.boolean(), payloads: z.array(z.unknown()) }),
]);
export type SupervisorMessage = z.infer<typeof supervisorMessage>;

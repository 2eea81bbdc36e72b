import { change, type Operation } from '../metadata/operation.ts';
import { insertEvent } from '../metadata/queries/events.ts';
import type { EventKind } from '../metadata/schema.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Actor } from './actor.ts';

/** Something that happened to what the registry holds. */
export interface RegistryEvent {
  /** In ms since 1970. */
  readonly at: number;
  readonly kind: EventKind;
  /** Undefined for what concerns a blob in all repositories, or the registry. */
  readonly repo?: RepositoryName;
  readonly digest?: Digest;
  readonly tag?: TagName;
  readonly actor: Actor;
  /** Why, in words that follow "because". */
  readonly reason?: string;
  /** What came or went, in bytes. */
  readonly bytes?: number;
  /** Whether it came to be; `done` where it is not given. */
  readonly result?: 'done' | 'refused';
}

/**
 * Writes down what happens, in the transaction in which it does: what is gone is explained from here, and
 * nothing that is acknowledged lacks its event.
 */
export function* recordEvent({ at, kind, actor, ...about }: RegistryEvent): Operation<void> {
  yield* change(insertEvent, {
    at,
    kind,
    repo: about.repo ?? null,
    digest: about.digest ?? null,
    tag: about.tag ?? null,
    actor: actor.text,
    reason: about.reason ?? null,
    bytes: about.bytes ?? null,
    identity: actor.identity,
    address: actor.address,
    requestId: actor.requestId,
    userAgent: actor.userAgent,
    result: about.result ?? 'done',
  });
}

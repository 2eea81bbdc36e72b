import type { Selectable } from 'kysely';
import type { EventTable } from '../metadata/schema.ts';

/** Something that happened, as the log of events has it. */
export type EventRow = Selectable<EventTable>;

/** An event for programs: in the admin API, on the command line and in the audit file alike. */
export interface ShownEvent {
  /** Grows with every event, in the order in which they were committed. */
  readonly id: number;
  /** In ISO 8601. */
  readonly at: string;
  readonly kind: string;
  readonly result: 'done' | 'refused';
  readonly repository?: string;
  readonly tag?: string;
  readonly digest?: string;
  /** `KIND:NAME` of whoever asked. */
  readonly identity?: string;
  readonly address?: string;
  readonly requestId?: string;
  readonly userAgent?: string;
  /** The same in words. */
  readonly actor: string;
  readonly reason?: string;
  readonly bytes?: number;
}

export function shownEvent(row: EventRow): ShownEvent {
  return {
    id: row.id,
    at: new Date(row.at).toISOString(),
    kind: row.kind,
    result: row.result,
    ...(row.repo !== null && { repository: row.repo }),
    ...(row.tag !== null && { tag: row.tag }),
    ...(row.digest !== null && { digest: row.digest }),
    ...(row.identity !== null && { identity: row.identity }),
    ...(row.address !== null && { address: row.address }),
    ...(row.request_id !== null && { requestId: row.request_id }),
    ...(row.user_agent !== null && { userAgent: row.user_agent }),
    actor: row.actor,
    ...(row.reason !== null && { reason: row.reason }),
    ...(row.bytes !== null && { bytes: row.bytes }),
  };
}

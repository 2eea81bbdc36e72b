import { setImmediate } from 'node:timers/promises';
import { all } from '../metadata/operation.ts';
import { eventsFrom, eventsUntil } from '../metadata/queries/events.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { type EventFilter, isAskedFor } from './event-filter.ts';
import type { EventRow } from './event-row.ts';
import { lastSettledEvent } from './settled-event.ts';

/** Events that are read at once: no request waits longer for it than for a small transaction. */
const readAtOnce = 500;
/** How long the first page waits for transactions that are under way, in ms, so that who goes on from it gets little again. */
const patienceMs = 500;
/** Events that are looked at for one page: what is rare leads from page to page. */
const mostLookedAt = 20_000;

/** Where a page has ended: an event, by its time in ms since 1970 and its number. */
export interface EventPosition {
  readonly at: number;
  readonly id: number;
}

export interface EventPageRequest {
  readonly filter: EventFilter;
  readonly order: 'oldest' | 'newest';
  /** Both in ms since 1970, and both included. */
  readonly since: number;
  readonly until: number;
  /** Where the page before has ended; undefined for the first. */
  readonly after: EventPosition | undefined;
  readonly limit: number;
}

export interface EventPage {
  readonly events: readonly EventRow[];
  /** Undefined where there is nothing more to be looked at. */
  readonly next: EventPosition | undefined;
  /** The number of an event of which all before it were there, and on the disk, when this was read; 0 where there is none. */
  readonly lastId: number;
}

/** A page of the log of events, in the order of their time. It may have fewer than asked for and lead to another. */
export async function eventPage(metadata: MetadataStore, request: EventPageRequest): Promise<EventPage> {
  const { filter, order, since, until, limit } = request;
  const lastId = await lastSettledEvent(metadata, request.after === undefined ? patienceMs : 0);
  const isForward = order === 'oldest';
  const query = isForward ? eventsFrom : eventsUntil;
  let position = request.after ?? (isForward ? { at: since, id: 0 } : { at: until, id: Number.MAX_SAFE_INTEGER });
  const events: EventRow[] = [];
  for (let lookedAt = 0; lookedAt < mostLookedAt; lookedAt += readAtOnce) {
    const from = position;
    const rows = await metadata.read(() => all(query, { ...from, limit: readAtOnce }));
    for (const row of rows) {
      if (isForward ? row.at > until : row.at < since) return { events, next: undefined, lastId };
      position = { at: row.at, id: row.id };
      if (!isAskedFor(row, filter)) continue;
      events.push(row);
      if (events.length === limit) return { events, next: position, lastId };
    }
    if (rows.length < readAtOnce) return { events, next: undefined, lastId };
    await setImmediate();
  }
  return { events, next: position, lastId };
}

import type { Placement } from './messages.ts';
import type { WorkerLink } from './worker-link.ts';

/** Where a server is one of several processes that serve one registry. */
export interface WorkerPlace extends Placement {
  readonly link: WorkerLink;
}

/** Whether this one does what is to be done once for all: collecting, pruning, making room, the audit file, the admin API. */
export function isKeeper(place: Pick<Placement, 'index'> | undefined): boolean {
  return place === undefined || place.index === 0;
}

import type { Layout } from './layout.ts';
import { at, lease, link, type State } from './state.ts';

/** A lease begins anew. */
export function renewLink(layout: Layout, t: State, blob: number): void {
  layout.setLease(t, blob, lease.runs);
  layout.on(t, layout.linksAt + blob, link.task);
}

/** An upload that ends well leaves those that it has prolonged a time in which to use them. */
export function uploadSucceeds(layout: Layout, t: State): void {
  for (let blob = 0; blob < layout.world.blobs; blob++) {
    if ((at(t, layout.linksAt + blob) & lease.bits) !== lease.prolonged) continue;
    if (!layout.hasBug('uploadEndsLeases')) layout.setLease(t, blob, lease.runs);
    else if (!layout.hasOpenUpload(t)) layout.setLease(t, blob, lease.over);
  }
}

/** Leases that only an upload under way has prolonged end with the last one that is given up. */
export function uploadEnds(layout: Layout, t: State): void {
  if (layout.hasOpenUpload(t)) return;
  for (let blob = 0; blob < layout.world.blobs; blob++) {
    if ((at(t, layout.linksAt + blob) & lease.bits) !== lease.prolonged) continue;
    layout.setLease(t, blob, lease.over);
    layout.endPromises(t, 'blobs', blob);
  }
}

import type { Layout } from './layout.ts';
import { uploadEnds } from './leases.ts';
import { at, clientSize, lease, manifest, object, phase, phases, type State, type Stepper, stopped } from './state.ts';

/** What ends because time passes: leases, windows, uploads that nobody goes on with. */
export function timeSteps(layout: Layout, s: State, step: Stepper): void {
  for (let blob = 0; blob < layout.world.blobs; blob++) {
    if ((at(s, layout.linksAt + blob) & lease.bits) === lease.runs) {
      step(`the lease of blob ${blob} ends`, (t) => {
        const isProlonged = layout.hasOpenUpload(t);
        const isSeen = isProlonged && !layout.hasBug('uploadHoldsNothing');
        layout.setLease(t, blob, isSeen ? lease.prolonged : lease.over);
        if (!isProlonged) layout.endPromises(t, 'blobs', blob);
        return undefined;
      });
    }
  }
  for (let m = 0; m < layout.world.manifests.length; m++) {
    if (!layout.is(s, layout.manifestsAt + m, manifest.timed)) continue;
    step(`the windows of ${layout.shape(m).name} end`, (t) => {
      layout.off(t, layout.manifestsAt + m, manifest.timed);
      layout.endPromises(t, 'manifests', m);
      return undefined;
    });
  }
  for (const [o, { client }] of layout.objects.entries()) {
    if (!layout.is(s, o, object.open)) continue;
    const pc = client === -1 ? stopped : at(s, layout.clientsAt + clientSize * client);
    const isMine = Math.floor(pc / phases) === layout.upload(o).instruction;
    const isWriting = pc !== stopped && isMine && pc % phases >= phase.create && pc % phases <= phase.commit;
    if (isWriting && !layout.hasBug('expireWhileWriting')) continue;
    step(`T_expire of the upload of object ${o}`, (t) => {
      layout.off(t, o, object.open);
      layout.setObject(t, o, object.dead);
      layout.on(t, o, object.task);
      uploadEnds(layout, t);
      return undefined;
    });
  }
}

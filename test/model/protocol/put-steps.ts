import { goTo, stop } from './client-position.ts';
import type { Layout } from './layout.ts';
import { ack, at, clientSize, manifest, phase, phases, type State, type Stepper } from './state.ts';

/** T_head of a manifest and T_put, a step at a time. */
export function manifestSteps(
  layout: Layout,
  step: Stepper,
  client: number,
  m: number,
  isTagged: boolean,
  pc: number,
): void {
  const who = `client ${client}: `;
  const { name } = layout.shape(m);
  const put = layout.manifestsAt + m;
  switch (pc % phases) {
    case phase.head:
      if (isTagged) {
        step(`${who}goes on to ${name}`, (t) => {
          goTo(layout, t, client, phase.put);
          return undefined;
        });
        return;
      }
      step(`${who}T_head ${name}`, (t) => {
        if (layout.manifest(t, m) !== manifest.live) {
          goTo(layout, t, client, phase.put);
          return undefined;
        }
        if (!layout.hasBug('headNoLease')) layout.on(t, put, manifest.timed | manifest.task);
        t[layout.clientsAt + clientSize * client + 1] = 128 + m;
        goTo(layout, t, client, phase.headSync);
        return undefined;
      });
      return;
    case phase.put:
      step(`${who}T_put ${name}`, (t) => {
        const { blobs, children } = layout.shape(m);
        const { blobs: promisedBlobs, manifests: promisedManifests } = layout.promise(t, client);
        const noBlobs = blobs.filter((blob) => !layout.isLinked(t, blob));
        const noChildren = children.filter((child) => layout.manifest(t, child) !== manifest.live);
        if (noBlobs.length + noChildren.length > 0) {
          stop(layout, t, client);
          const isBroken =
            noBlobs.some((blob) => (promisedBlobs & (1 << blob)) !== 0) ||
            noChildren.some((child) => (promisedManifests & (1 << child)) !== 0);
          return isBroken ? 'a manifest is refused for want of what its client was told is there' : undefined;
        }
        if (layout.hasBug('splitPut')) goTo(layout, t, client, phase.putLate);
        else writeManifest(layout, t, client, m, isTagged);
        return undefined;
      });
      return;
    case phase.putLate:
      step(`${who}writes ${name}`, (t) => {
        writeManifest(layout, t, client, m, isTagged);
        return undefined;
      });
      return;
  }
}

function writeManifest(layout: Layout, t: State, client: number, m: number, isTagged: boolean): void {
  const place = layout.manifestsAt + m;
  const tag = isTagged ? manifest.tag : at(t, place) & manifest.tag;
  t[place] = manifest.live | manifest.timed | manifest.task | tag | (at(t, place) & manifest.trashedTag);
  if (isTagged)
    t[layout.acksAt + m] = layout.hasBug('answerUnsynced')
      ? ack.given
      : Math.max(at(t, layout.acksAt + m), ack.committed);
  t[layout.clientsAt + clientSize * client + 1] = 128 + m;
  goTo(layout, t, client, phase.putSync);
}

import { goTo, stop } from './client-position.ts';
import type { Layout } from './layout.ts';
import { renewLink, uploadEnds, uploadSucceeds } from './leases.ts';
import { manifestSteps } from './put-steps.ts';
import {
  at,
  block,
  clientSize,
  file,
  link,
  object,
  phase,
  phases,
  type State,
  type Stepper,
  stopped,
} from './state.ts';

/** What clients may do next. */
export function clientSteps(layout: Layout, s: State, step: Stepper): void {
  for (const [client, program] of layout.world.clients.entries()) {
    const pc = at(s, layout.clientsAt + clientSize * client);
    const instruction = program[Math.floor(pc / phases)];
    if (pc === stopped || instruction === undefined) continue;
    if (instruction.do === 'blob') blobSteps(layout, step, client, instruction.blob, pc);
    else manifestSteps(layout, step, client, instruction.manifest, instruction.do === 'tag', pc);
  }
}

function blobSteps(layout: Layout, step: Stepper, client: number, blob: number, pc: number): void {
  const o = layout.objects.findIndex((each) => each.client === client && each.instruction === Math.floor(pc / phases));
  const who = `client ${client}: `;
  const pending = layout.clientsAt + clientSize * client + 1;
  switch (pc % phases) {
    case phase.head:
      step(`${who}T_head blob ${blob}`, (t) => {
        if (!layout.isLinked(t, blob)) {
          goTo(layout, t, client, layout.hasBug('fileBeforeRow') ? phase.create : phase.open);
          return undefined;
        }
        if (!layout.hasBug('headNoLease')) renewLink(layout, t, blob);
        t[pending] = 1 + blob;
        goTo(layout, t, client, phase.headSync);
        return undefined;
      });
      return;
    case phase.open:
      // Not synced: the open of an upload promises nothing.
      step(`${who}T_open of object ${o}`, (t) => {
        t[o] = object.pending | object.open;
        goTo(layout, t, client, layout.hasBug('fileBeforeRow') ? phase.sync : phase.claim);
        return undefined;
      });
      return;
    case phase.claim:
      step(`${who}claims the upload`, (t) => {
        if (layout.is(t, o, object.open)) goTo(layout, t, client, phase.create);
        else stop(layout, t, client);
        return undefined;
      });
      return;
    case phase.create:
      step(`${who}writes file ${o}`, (t) => {
        if (at(t, layout.file(o)) !== file.synced) t[layout.file(o)] = file.written;
        goTo(layout, t, client, layout.hasBug('fileBeforeRow') ? phase.open : phase.sync);
        return undefined;
      });
      return;
    case phase.sync:
      step(`${who}looks for the digest, and syncs file ${o} where it is not there`, (t) => {
        const mustSync = layout.live(t, blob) === -1 && !layout.hasBug('commitUnsyncedFile');
        if (mustSync && at(t, layout.file(o)) === file.written) t[layout.file(o)] = file.synced;
        goTo(layout, t, client, phase.commit);
        return undefined;
      });
      return;
    case phase.commit:
      step(`${who}T_commit of object ${o}`, (t) => commitUpload(layout, t, client, blob, o));
      return;
  }
}

function commitUpload(layout: Layout, t: State, client: number, blob: number, o: number): undefined {
  if (!layout.is(t, o, object.open)) {
    stop(layout, t, client);
    return;
  }
  if (isKeptOut(layout, t, blob)) {
    layout.off(t, o, object.open);
    layout.setObject(t, o, object.dead);
    layout.on(t, o, object.task);
    uploadEnds(layout, t);
    stop(layout, t, client);
    return;
  }
  const wasLinked = layout.isLinked(t, blob);
  const live = layout.live(t, blob);
  if (live === -1 && at(t, layout.file(o)) !== file.synced && !layout.hasBug('commitUnsyncedFile')) {
    // needs-sync: the live object went since the look at it.
    if (at(t, layout.file(o)) === file.written) t[layout.file(o)] = file.synced;
    return;
  }
  layout.off(t, o, object.open);
  if (live === -1) {
    layout.setObject(t, o, object.live);
  } else if (layout.hasBug('nameIsDigest')) {
    // The copies are one file.
    t[o] = object.none;
  } else {
    layout.setObject(t, o, object.dead);
    layout.on(t, o, object.task);
  }
  uploadSucceeds(layout, t);
  layout.on(t, layout.linksAt + blob, link.there);
  if (!(wasLinked && layout.hasBug('commitNoLease'))) renewLink(layout, t, blob);
  t[layout.clientsAt + clientSize * client + 1] = 1 + blob;
  goTo(layout, t, client, phase.commitSync);
}

function isKeptOut(layout: Layout, s: State, blob: number): boolean {
  const isPurged = layout.world.purges?.includes(blob) === true;
  return isPurged && layout.is(s, layout.blocksAt + blob, block.asked) && !layout.hasBug('commitIgnoresBlock');
}

import type { Layout } from './layout.ts';
import { at, file, link, manifest, object, reclaim, type State, type Stepper } from './state.ts';

/** How a file goes, as registry/reclaimer.ts has it, and what the mistakes make of it. */
export function reclaimSteps(layout: Layout, s: State, step: Stepper, place: number, o: number): void {
  const to = (t: State, next: number): undefined => {
    t[place] = next;
    if (next === reclaim.idle) t[place + 1] = 0;
  };
  switch (at(s, place)) {
    case reclaim.unlink:
      step(`unlink of file ${o}`, (t) => {
        const there = at(t, layout.file(o));
        if (there === file.written || there === file.synced) t[layout.file(o)] = file.unlinked;
        return to(t, layout.hasBug('forgetEarly') ? reclaim.forget : reclaim.syncDirectory);
      });
      return;
    case reclaim.syncDirectory:
      step(`sync of the directory of file ${o}`, (t) => {
        if (at(t, layout.file(o)) === file.unlinked) t[layout.file(o)] = file.none;
        return to(t, reclaim.forget);
      });
      return;
    case reclaim.forget:
      step(`T_forget object ${o}`, (t) => {
        if (layout.object(t, o) === object.dead) t[o] = object.none;
        return to(t, reclaim.idle);
      });
      return;
    case reclaim.condemn:
      step(`T_condemn object ${o}, without looking again`, (t) => {
        if (layout.object(t, o) === object.live) layout.setObject(t, o, object.condemned);
        return to(t, reclaim.idle);
      });
      return;
    case reclaim.deleteRow:
      step(`deletes the row of object ${o}, where nothing links it`, (t) => {
        if (layout.isLinked(t, layout.upload(o).blob)) layout.off(t, o, object.task);
        else t[o] = object.none;
        return to(t, reclaim.idle);
      });
      return;
    case reclaim.finishLink:
      step(`finishes the review of link ${o}`, (t) => {
        layout.off(t, layout.linksAt + o, link.task);
        return to(t, reclaim.idle);
      });
      return;
    case reclaim.finishManifest:
      step(`finishes the review of ${layout.shape(o).name}`, (t) => {
        layout.off(t, layout.manifestsAt + o, manifest.task);
        return to(t, reclaim.idle);
      });
      return;
  }
}

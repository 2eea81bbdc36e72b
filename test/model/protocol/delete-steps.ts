import type { Layout } from './layout.ts';
import { ack, at, manifest, type State, type Stepper } from './state.ts';

/** T_tag_delete, T_manifest_delete and T_undo, each as often as the world allows. */
export function deleteSteps(layout: Layout, s: State, step: Stepper): void {
  for (const [number, { what, manifest: m }] of layout.world.deletes.entries()) {
    if (layout.is(s, layout.usedAt, 1 << number)) continue;
    const place = layout.manifestsAt + m;
    const { name } = layout.shape(m);
    if (what === 'tag' && layout.is(s, place, manifest.tag)) {
      step(`T_tag_delete ${name}`, (t) => {
        layout.on(t, layout.usedAt, 1 << number);
        t[layout.acksAt + m] = ack.none;
        layout.off(t, place, manifest.tag);
        layout.on(t, place, manifest.timed | trashedTag(layout));
        if (!layout.hasBug('tagDeleteNoReview')) layout.on(t, place, manifest.task);
        return undefined;
      });
    }
    const isReferenced = layout.parentsOf(s, m).some((parent) => layout.manifest(s, parent) === manifest.live);
    const mayGo = !isReferenced || layout.hasBug('deleteListedChild');
    if (what === 'manifest' && layout.manifest(s, m) === manifest.live && mayGo) {
      step(`T_manifest_delete ${name}`, (t) => {
        layout.on(t, layout.usedAt, 1 << number);
        t[layout.acksAt + m] = ack.none;
        layout.endPromises(t, 'manifests', m);
        const wasTagged = layout.is(t, place, manifest.tag);
        const task = layout.hasBug('manifestDeleteNoReview') ? at(t, place) & manifest.task : manifest.task;
        t[place] = manifest.trashed | manifest.timed | task;
        if (wasTagged) layout.on(t, place, trashedTag(layout));
        return undefined;
      });
    }
  }
  for (const [number, m] of layout.world.undoes.entries()) {
    const place = layout.manifestsAt + m;
    const isDone = layout.is(s, layout.usedAt + 1, 1 << number);
    const mayBe = layout.manifest(s, m) === manifest.trashed || layout.is(s, place, manifest.trashedTag);
    const { name, children } = layout.shape(m);
    if (isDone || layout.manifest(s, m) === manifest.gone || !mayBe) continue;
    step(`T_undo ${name}`, (t) => {
      layout.on(t, layout.usedAt + 1, 1 << number);
      for (const back of layout.hasBug('undoWithoutChildren') ? [m] : [m, ...children]) {
        const each = layout.manifestsAt + back;
        const tag = layout.is(t, each, manifest.trashedTag) && back === m ? manifest.tag : at(t, each) & manifest.tag;
        t[each] = manifest.live | manifest.task | manifest.timed | tag;
      }
      return undefined;
    });
  }
}

/** What a tag pointed at is only remembered where somebody may want it back. */
function trashedTag(layout: Layout): number {
  return layout.world.undoes.length > 0 ? manifest.trashedTag : 0;
}

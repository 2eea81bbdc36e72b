import type { Layout } from './layout.ts';
import { file, object, reclaim, type State, type Stepper } from './state.ts';

/** T_condemn and T_kill, as collector/review-object.ts has them, by a reclaimer that is free. */
export function reviewObjects(layout: Layout, s: State, step: Stepper, reclaimer: number): void {
  for (const [o, { blob }] of layout.objects.entries()) {
    if (!layout.is(s, o, object.task)) continue;
    const take = (t: State, to: number): void => {
      t[reclaimer] = to;
      t[reclaimer + 1] = o;
    };
    switch (layout.object(s, o)) {
      case object.live:
        if (layout.isLinked(s, blob)) {
          step(`T_condemn object ${o}: keep`, (t) => {
            layout.off(t, o, object.task);
            return undefined;
          });
        } else if (layout.hasBug('unlinkFirst')) {
          step(`unlinks file ${o}, then T_condemn`, (t) => {
            t[layout.file(o)] = file.none;
            take(t, reclaim.deleteRow);
            return undefined;
          });
        } else if (layout.hasBug('splitCondemn')) {
          step(`looks whether anything links object ${o}`, (t) => {
            take(t, reclaim.condemn);
            return undefined;
          });
        } else {
          step(`T_condemn object ${o}`, (t) => {
            layout.setObject(t, o, object.condemned);
            return undefined;
          });
        }
        break;
      case object.condemned:
        step(`T_kill object ${o}`, (t) => {
          layout.setObject(t, o, object.dead);
          take(t, layout.hasBug('unlinkUnsynced') ? reclaim.unlink : reclaim.sync);
          return undefined;
        });
        break;
      case object.dead:
        step(`takes up dead object ${o}`, (t) => {
          take(t, layout.hasBug('unlinkUnsynced') ? reclaim.unlink : reclaim.sync);
          return undefined;
        });
        break;
      case object.none:
        step(`T_forget object ${o}, again`, (t) => {
          layout.off(t, o, object.task);
          return undefined;
        });
        break;
    }
  }
}

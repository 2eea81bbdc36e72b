import { isHeld } from './held.ts';
import type { Layout } from './layout.ts';
import { wrongPurge } from './purge-steps.ts';
import { ack, at, file, link, manifest, object, range, reclaim, type State } from './state.ts';

/** What must not be so in any state. */
export function wrongState(layout: Layout, s: State): string | undefined {
  return wrongPurge(layout, s) ?? wrongObjects(layout, s) ?? wrongLinks(layout, s) ?? wrongManifests(layout, s);
}

function isReadable(layout: Layout, s: State, blob: number): boolean {
  const live = layout.live(s, blob);
  return live !== -1 && at(s, layout.file(live)) === file.synced;
}

function wrongObjects(layout: Layout, s: State): string | undefined {
  for (const [o, { blob }] of layout.objects.entries()) {
    const state = layout.object(s, o);
    const isQueued =
      layout.is(s, o, object.task) ||
      range(layout.world.reclaimers).some((r) => {
        const place = layout.reclaimersAt + 2 * r;
        return at(s, place) !== reclaim.idle && at(s, place) < reclaim.finishLink && at(s, place + 1) === o;
      });
    const there = at(s, layout.filesAt + o);
    if (state === object.none && (there === file.written || there === file.synced || there === file.unlinked)) {
      if (!layout.hasBug('nameIsDigest'))
        return 'I9: a file, or its removal, that is not on the disk for good, has no row';
    }
    if (state === object.pending && !layout.is(s, o, object.open)) return 'I9: a pending object has no upload';
    if ((state === object.condemned || state === object.dead) && !isQueued)
      return 'I9: nothing will take a dead object away';
    if (state !== object.live) continue;
    if (!layout.isLinked(s, blob) && !isQueued) return 'I9: nothing links a live object, and nothing will review it';
    const others = layout.objects.some((each, n) => n > o && each.blob === blob && layout.object(s, n) === object.live);
    if (others) return 'I2: a digest has two live objects';
  }
  return undefined;
}

function wrongLinks(layout: Layout, s: State): string | undefined {
  for (let blob = 0; blob < layout.world.blobs; blob++) {
    if (!layout.isLinked(s, blob)) continue;
    if (!isReadable(layout, s, blob)) return 'I3: a link has no live object with its bytes on the disk';
    const isUsed = (layout.users[blob] ?? []).some((m) => layout.manifest(s, m) !== manifest.gone);
    if (!isUsed && !layout.is(s, layout.linksAt + blob, link.task))
      return 'I9: nothing needs a link, and nothing will review it';
  }
  return undefined;
}

function wrongManifests(layout: Layout, s: State): string | undefined {
  for (let m = 0; m < layout.world.manifests.length; m++) {
    const state = layout.manifest(s, m);
    const { blobs, children, name } = layout.shape(m);
    const isTagged = layout.is(s, layout.manifestsAt + m, manifest.tag);
    if (at(s, layout.acksAt + m) === ack.given && !(state === manifest.live && isTagged && isWhole(layout, s, m))) {
      return `an acknowledged image is lost: ${name}`;
    }
    if (state === manifest.gone) continue;
    if (blobs.some((blob) => !layout.isLinked(s, blob))) return 'I4: a manifest needs a blob that is not linked';
    if (children.some((child) => layout.manifest(s, child) === manifest.gone))
      return 'I5: an index lists a manifest that is gone';
    if (state === manifest.live && children.some((child) => layout.manifest(s, child) !== manifest.live)) {
      return 'I5: a visible index lists a manifest that is not';
    }
    if (!isHeld(layout, s, m) && !isReviewed(layout, s, m))
      return `I9: nothing holds ${name}, and nothing will review it`;
  }
  return undefined;
}

function isWhole(layout: Layout, s: State, m: number): boolean {
  const { blobs, children } = layout.shape(m);
  return (
    layout.manifest(s, m) === manifest.live &&
    blobs.every((blob) => layout.isLinked(s, blob) && isReadable(layout, s, blob)) &&
    children.every((child) => isWhole(layout, s, child))
  );
}

function isReviewed(layout: Layout, s: State, m: number): boolean {
  const above = new Set([m]);
  for (const each of above) {
    if (layout.is(s, layout.manifestsAt + each, manifest.task)) return true;
    for (const parent of layout.parentsOf(s, each)) above.add(parent);
    const { subject } = layout.shape(each);
    if (subject !== undefined && layout.manifest(s, subject) !== manifest.gone) above.add(subject);
  }
  return false;
}

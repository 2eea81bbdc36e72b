import type { Layout } from './layout.ts';
import { manifest, range, type State } from './state.ts';

/** Whether something holds a manifest: by definition, and not as the collector looks for it. */
export function isHeld(layout: Layout, s: State, m: number): boolean {
  return heldManifests(layout, s).has(m);
}

/** All manifests that something holds. */
export function heldManifests(layout: Layout, s: State): ReadonlySet<number> {
  const held = new Set<number>();
  const waiting = range(layout.world.manifests.length).filter(
    (m) =>
      layout.manifest(s, m) !== manifest.gone && layout.is(s, layout.manifestsAt + m, manifest.tag | manifest.timed),
  );
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (held.has(next) || layout.manifest(s, next) === manifest.gone) continue;
    held.add(next);
    waiting.push(...layout.shape(next).children);
    waiting.push(...(layout.referrers[next] ?? []).filter((each) => layout.manifest(s, each) === manifest.live));
  }
  return held;
}

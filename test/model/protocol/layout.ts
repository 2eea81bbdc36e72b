import type { SeededBug } from './seeded-bugs.ts';
import type { ManifestShape, SmallWorld } from './small-world.ts';
import { ack, at, clientSize, file, lease, link, manifest, object, range, type State } from './state.ts';

/** Where the parts of a state stand. */
export class Layout {
  readonly world: SmallWorld;
  readonly #bugs: ReadonlySet<SeededBug>;
  readonly objects: readonly { readonly blob: number; readonly client: number; readonly instruction: number }[];
  readonly parents: readonly (readonly number[])[];
  readonly referrers: readonly (readonly number[])[];
  readonly users: readonly (readonly number[])[];
  // Offsets.
  readonly linksAt: number;
  readonly manifestsAt: number;
  readonly blocksAt: number;
  readonly databaseSize: number;
  readonly filesAt: number;
  readonly clientsAt: number;
  readonly acksAt: number;
  readonly reclaimersAt: number;
  readonly purgersAt: number;
  readonly usedAt: number;
  readonly crashesAt: number;
  readonly size: number;

  constructor(world: SmallWorld, bugs: readonly SeededBug[] = []) {
    this.world = world;
    this.#bugs = new Set(bugs);
    const initial =
      world.tagged === undefined ? [] : range(world.blobs).map((blob) => ({ blob, client: -1, instruction: -1 }));
    const uploaded = world.clients.flatMap((program, client) =>
      program.flatMap((each, instruction) => (each.do === 'blob' ? [{ blob: each.blob, client, instruction }] : [])),
    );
    this.objects = [...initial, ...uploaded];
    const all = range(world.manifests.length);
    this.parents = all.map((child) => all.filter((parent) => this.shape(parent).children.includes(child)));
    this.referrers = all.map((subject) => all.filter((each) => this.shape(each).subject === subject));
    this.users = range(world.blobs).map((blob) => all.filter((each) => this.shape(each).blobs.includes(blob)));
    this.linksAt = this.objects.length;
    this.manifestsAt = this.linksAt + world.blobs;
    this.blocksAt = this.manifestsAt + all.length;
    const purged = world.purges === undefined ? 0 : world.blobs;
    this.databaseSize = this.blocksAt + purged;
    this.filesAt = 2 * this.databaseSize;
    this.clientsAt = this.filesAt + this.objects.length;
    this.acksAt = this.clientsAt + clientSize * world.clients.length;
    this.reclaimersAt = this.acksAt + all.length;
    this.purgersAt = this.reclaimersAt + 2 * world.reclaimers;
    this.usedAt = this.purgersAt + purged;
    this.crashesAt = this.usedAt + 2;
    this.size = this.crashesAt + 1;
  }

  shape(place: number): ManifestShape {
    const shape = this.world.manifests[place];
    if (shape === undefined) throw new Error(`there is no manifest ${place}`);
    return shape;
  }

  hasBug(bug: SeededBug): boolean {
    return this.#bugs.has(bug);
  }

  initial(): State {
    const s: State = Array.from({ length: this.size }, () => 0);
    const { tagged, manifests, blobs } = this.world;
    if (tagged !== undefined) {
      for (const blob of range(blobs)) {
        s[blob] = object.live;
        s[this.filesAt + blob] = file.synced;
        s[this.linksAt + blob] = link.there;
      }
      for (const place of range(manifests.length)) {
        const isTagged = tagged.includes(place);
        s[this.manifestsAt + place] = manifest.live | (isTagged ? manifest.tag : 0);
        s[this.acksAt + place] = isTagged ? ack.given : ack.none;
      }
      this.sync(s);
    }
    return s;
  }

  // Reading and writing.

  object(s: State, o: number): number {
    return at(s, o) & object.states;
  }

  setObject(s: State, o: number, state: number): void {
    s[o] = (at(s, o) & ~object.states) | state;
  }

  live(s: State, blob: number): number {
    return this.objects.findIndex((each, o) => each.blob === blob && this.object(s, o) === object.live);
  }

  manifest(s: State, m: number): number {
    return at(s, this.manifestsAt + m) & manifest.states;
  }

  on(s: State, place: number, bits: number): void {
    s[place] = at(s, place) | bits;
  }

  off(s: State, place: number, bits: number): void {
    s[place] = at(s, place) & ~bits;
  }

  is(s: State, place: number, bits: number): boolean {
    return (at(s, place) & bits) !== 0;
  }

  isLinked(s: State, blob: number): boolean {
    return this.is(s, this.linksAt + blob, link.there);
  }

  setLease(s: State, blob: number, to: number): void {
    s[this.linksAt + blob] = (at(s, this.linksAt + blob) & ~lease.bits) | to;
  }

  hasOpenUpload(s: State): boolean {
    return this.objects.some((_, o) => this.is(s, o, object.open));
  }

  /** The file's place, which several objects share where it is named by its digest. */
  file(o: number): number {
    if (!this.hasBug('nameIsDigest')) return this.filesAt + o;
    const { blob } = this.upload(o);
    return this.filesAt + this.objects.findIndex((each) => each.blob === blob);
  }

  upload(o: number): { readonly blob: number; readonly client: number; readonly instruction: number } {
    const upload = this.objects[o];
    if (upload === undefined) throw new Error(`there is no object ${o}`);
    return upload;
  }

  /** All that was committed is on the disk. */
  sync(s: State): void {
    for (let place = 0; place < this.databaseSize; place++) s[this.databaseSize + place] = at(s, place);
  }

  isSynced(s: State): boolean {
    for (let place = 0; place < this.databaseSize; place++) {
      if (s[this.databaseSize + place] !== s[place]) return false;
    }
    return true;
  }

  promise(s: State, client: number): { pending: number; blobs: number; manifests: number } {
    const place = this.clientsAt + clientSize * client;
    return { pending: at(s, place + 1), blobs: at(s, place + 2), manifests: at(s, place + 3) };
  }

  /** No client may count on a blob, or a manifest, any more. */
  endPromises(s: State, kind: 'blobs' | 'manifests', place: number): void {
    for (let client = 0; client < this.world.clients.length; client++) {
      const start = this.clientsAt + clientSize * client;
      this.off(s, start + (kind === 'blobs' ? 2 : 3), 1 << place);
      if (kind === 'blobs' && at(s, start + 1) === 1 + place) s[start + 1] = 0;
      if (kind === 'manifests' && at(s, start + 1) === 128 + place) s[start + 1] = 0;
    }
  }

  parentsOf(s: State, m: number): readonly number[] {
    return (this.parents[m] ?? []).filter((parent) => this.manifest(s, parent) !== manifest.gone);
  }
}

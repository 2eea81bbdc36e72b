// The protocol of uploading, deleting and collecting as steps between small states: each transaction, each operation on a
// file and each sync is one step. The names are those of the code: T_open is registry/upload-open.ts, and so on.

/** A manifest of the small world. */
export interface ManifestShape {
  readonly name: string;
  /** Blobs that it needs, by their place. */
  readonly blobs: readonly number[];
  /** Manifests that it lists. */
  readonly children: readonly number[];
  readonly subject: number | undefined;
}

export type Instruction =
  /** HEAD of a blob, and an upload where it is not there. */
  | { readonly do: 'blob'; readonly blob: number }
  /** HEAD of a manifest, and a push by digest where it is not there. */
  | { readonly do: 'child'; readonly manifest: number }
  /** A push under a tag of its own. */
  | { readonly do: 'tag'; readonly manifest: number };

export interface SmallWorld {
  readonly name: string;
  readonly blobs: number;
  readonly manifests: readonly ManifestShape[];
  /** Whether all manifests are there at the beginning, and which are tagged. */
  readonly tagged: readonly number[] | undefined;
  readonly clients: readonly (readonly Instruction[])[];
  /** How many objects are taken away at once. */
  readonly reclaimers: number;
  readonly deletes: readonly { readonly what: 'tag' | 'manifest'; readonly manifest: number }[];
  readonly undoes: readonly number[];
  readonly crashes: number;
}

/** Mistakes that somebody could make in the code. The model must find each of them. */
export const seededBugs = {
  nameIsDigest: 'a file is named by its digest, and the name is used again',
  unlinkFirst: 'the file is removed before the transaction that lets it go',
  splitCondemn: 'the look for links and the condemning are two transactions',
  headNoLease: 'a HEAD renews no lease',
  splitPut: 'T_put looks in one transaction and writes in another',
  tagDeleteNoReview: 'T_tag_delete asks for no review',
  manifestDeleteNoReview: 'T_manifest_delete asks for no review',
  fileBeforeRow: 'the file comes before its row',
  expireWhileWriting: 'T_expire does not ask whether somebody is writing',
  commitUnsyncedFile: 'T_commit makes an object live whose file is not synced',
  forgetEarly: 'T_forget does not wait for the sync of the directory',
  trashHoldsNothing: 'the review of a link does not look at manifests in the trash',
  unlinkUnsynced: 'the file is removed before the dead state is on the disk',
  answerUnsynced: 'T_put is answered before it is on the disk',
  ignoreSubject: 'the review of a manifest does not look at its subject',
  subjectHolds: 'a subject that is there is a hold by itself',
  ignoreParents: 'the review of a manifest does not look at the indexes that list it',
  childrenFirst: 'a manifest goes though an index lists it that nothing holds',
  childrenNotReviewed: 'a manifest that goes asks for no review of its children',
  referrersNotReviewed: 'a manifest that goes asks for no review of its referrers',
  linksNotReviewed: 'a manifest that goes asks for no review of its blobs',
  objectNotReviewed: 'a link that goes asks for no review of its object',
  parentsNotReviewed: 'the review of a child whose index is held by nothing does not ask for that of the index',
  splitReview: 'a review looks in one transaction and finishes its task in another, whatever was asked meanwhile',
  deleteListedChild: 'T_manifest_delete takes a child that a visible index lists',
  undoWithoutChildren: 'T_undo brings an index back without its children',
  commitNoLease: 'T_commit of a blob that is there renews no lease',
  uploadHoldsNothing: 'a lease ends though an upload that began before its end goes on',
} as const;

export type SeededBug = keyof typeof seededBugs;

// A state is a row of bytes: the database as it is, the database as a power cut would leave it, and the rest.

const object = { none: 0, pending: 1, live: 2, condemned: 3, dead: 4, states: 7, open: 8, task: 16 } as const;
/** A lease runs, is prolonged by an upload, or is over. */
const lease = { over: 0, prolonged: 2, runs: 4, bits: 6 } as const;
const link = { there: 1, task: 8 } as const;
const manifest = { gone: 0, live: 1, trashed: 2, states: 3, tag: 4, timed: 8, task: 16, trashedTag: 32 } as const;
const file = { none: 0, written: 1, synced: 2, unlinked: 3, lost: 4 } as const;
const ack = { none: 0, committed: 1, given: 2 } as const;

/** Where a client stands in an instruction. */
const phase = {
  head: 0,
  headSync: 1,
  open: 2,
  claim: 3,
  create: 4,
  sync: 5,
  commit: 6,
  commitSync: 7,
  put: 8,
  putSync: 9,
  putLate: 10,
} as const;
const phases = 16;
/** The place in the program, what is waited for, and what was promised: blobs and manifests. */
const clientSize = 4;
const stopped = 255;
/** Where a reclaimer stands with an object. */
const reclaim = {
  idle: 0,
  sync: 1,
  unlink: 2,
  syncDirectory: 3,
  forget: 4,
  condemn: 5,
  deleteRow: 6,
  finishLink: 7,
  finishManifest: 8,
} as const;

export type State = number[];
export type Emit = (step: string, state: State, wrong?: string) => void;

/** Where the parts of a state stand. */
export class Protocol {
  readonly #world: SmallWorld;
  readonly #bugs: ReadonlySet<SeededBug>;
  readonly #objects: readonly { readonly blob: number; readonly client: number; readonly instruction: number }[];
  readonly #parents: readonly (readonly number[])[];
  readonly #referrers: readonly (readonly number[])[];
  readonly #users: readonly (readonly number[])[];
  // Offsets.
  readonly #links: number;
  readonly #manifests: number;
  readonly #databaseSize: number;
  readonly #files: number;
  readonly #clients: number;
  readonly #acks: number;
  readonly #reclaimers: number;
  readonly #used: number;
  readonly #crashes: number;
  readonly #size: number;

  constructor(world: SmallWorld, bugs: readonly SeededBug[] = []) {
    this.#world = world;
    this.#bugs = new Set(bugs);
    const initial =
      world.tagged === undefined ? [] : range(world.blobs).map((blob) => ({ blob, client: -1, instruction: -1 }));
    const uploaded = world.clients.flatMap((program, client) =>
      program.flatMap((each, instruction) => (each.do === 'blob' ? [{ blob: each.blob, client, instruction }] : [])),
    );
    this.#objects = [...initial, ...uploaded];
    const all = range(world.manifests.length);
    this.#parents = all.map((child) => all.filter((parent) => this.#shape(parent).children.includes(child)));
    this.#referrers = all.map((subject) => all.filter((each) => this.#shape(each).subject === subject));
    this.#users = range(world.blobs).map((blob) => all.filter((each) => this.#shape(each).blobs.includes(blob)));
    this.#links = this.#objects.length;
    this.#manifests = this.#links + world.blobs;
    this.#databaseSize = this.#manifests + all.length;
    this.#files = 2 * this.#databaseSize;
    this.#clients = this.#files + this.#objects.length;
    this.#acks = this.#clients + clientSize * world.clients.length;
    this.#reclaimers = this.#acks + all.length;
    this.#used = this.#reclaimers + 2 * world.reclaimers;
    this.#crashes = this.#used + 2;
    this.#size = this.#crashes + 1;
  }

  #shape(place: number): ManifestShape {
    const shape = this.#world.manifests[place];
    if (shape === undefined) throw new Error(`there is no manifest ${place}`);
    return shape;
  }

  #has(bug: SeededBug): boolean {
    return this.#bugs.has(bug);
  }

  initial(): State {
    const s: State = Array.from({ length: this.#size }, () => 0);
    const { tagged, manifests, blobs } = this.#world;
    if (tagged !== undefined) {
      for (const blob of range(blobs)) {
        s[blob] = object.live;
        s[this.#files + blob] = file.synced;
        s[this.#links + blob] = link.there;
      }
      for (const place of range(manifests.length)) {
        const isTagged = tagged.includes(place);
        s[this.#manifests + place] = manifest.live | (isTagged ? manifest.tag : 0);
        s[this.#acks + place] = isTagged ? ack.given : ack.none;
      }
      this.#sync(s);
    }
    return s;
  }

  // Reading and writing.

  #object(s: State, o: number): number {
    return at(s, o) & object.states;
  }

  #setObject(s: State, o: number, state: number): void {
    s[o] = (at(s, o) & ~object.states) | state;
  }

  #live(s: State, blob: number): number {
    return this.#objects.findIndex((each, o) => each.blob === blob && this.#object(s, o) === object.live);
  }

  #manifest(s: State, m: number): number {
    return at(s, this.#manifests + m) & manifest.states;
  }

  #on(s: State, place: number, bits: number): void {
    s[place] = at(s, place) | bits;
  }

  #off(s: State, place: number, bits: number): void {
    s[place] = at(s, place) & ~bits;
  }

  #is(s: State, place: number, bits: number): boolean {
    return (at(s, place) & bits) !== 0;
  }

  #isLinked(s: State, blob: number): boolean {
    return this.#is(s, this.#links + blob, link.there);
  }

  #setLease(s: State, blob: number, to: number): void {
    s[this.#links + blob] = (at(s, this.#links + blob) & ~lease.bits) | to;
  }

  #hasOpenUpload(s: State): boolean {
    return this.#objects.some((_, o) => this.#is(s, o, object.open));
  }

  /** The file's place, which several objects share where it is named by its digest. */
  #file(o: number): number {
    if (!this.#has('nameIsDigest')) return this.#files + o;
    const { blob } = this.#upload(o);
    return this.#files + this.#objects.findIndex((each) => each.blob === blob);
  }

  #upload(o: number): { readonly blob: number; readonly client: number; readonly instruction: number } {
    const upload = this.#objects[o];
    if (upload === undefined) throw new Error(`there is no object ${o}`);
    return upload;
  }

  /** All that was committed is on the disk. */
  #sync(s: State): void {
    for (let place = 0; place < this.#databaseSize; place++) s[this.#databaseSize + place] = at(s, place);
  }

  #isSynced(s: State): boolean {
    for (let place = 0; place < this.#databaseSize; place++) {
      if (s[this.#databaseSize + place] !== s[place]) return false;
    }
    return true;
  }

  #promise(s: State, client: number): { pending: number; blobs: number; manifests: number } {
    const place = this.#clients + clientSize * client;
    return { pending: at(s, place + 1), blobs: at(s, place + 2), manifests: at(s, place + 3) };
  }

  /** No client may count on a blob, or a manifest, any more. */
  #endPromises(s: State, kind: 'blobs' | 'manifests', place: number): void {
    for (let client = 0; client < this.#world.clients.length; client++) {
      const start = this.#clients + clientSize * client;
      this.#off(s, start + (kind === 'blobs' ? 2 : 3), 1 << place);
      if (kind === 'blobs' && at(s, start + 1) === 1 + place) s[start + 1] = 0;
      if (kind === 'manifests' && at(s, start + 1) === 128 + place) s[start + 1] = 0;
    }
  }

  // Steps.

  steps(s: State, emit: Emit): void {
    const step = (name: string, change: (t: State) => string | undefined): void => {
      const t = s.slice();
      const wrong = change(t);
      emit(name, t, wrong);
    };
    this.#clientSteps(s, step);
    this.#deleteSteps(s, step);
    this.#timeSteps(s, step);
    this.collectorSteps(s, step);
    this.#diskSteps(s, step);
  }

  #clientSteps(s: State, step: Stepper): void {
    for (const [client, program] of this.#world.clients.entries()) {
      const pc = at(s, this.#clients + clientSize * client);
      const instruction = program[Math.floor(pc / phases)];
      if (pc === stopped || instruction === undefined) continue;
      if (instruction.do === 'blob') this.#blobSteps(step, client, instruction.blob, pc);
      else this.#manifestSteps(step, client, instruction.manifest, instruction.do === 'tag', pc);
    }
  }

  #go(t: State, client: number, to: number): void {
    const place = this.#clients + clientSize * client;
    const pc = at(t, place);
    t[place] = pc - (pc % phases) + to;
  }

  #goNext(t: State, client: number): void {
    const place = this.#clients + clientSize * client;
    const next = Math.floor(at(t, place) / phases) + 1;
    if (next === this.#world.clients[client]?.length) this.#stop(t, client);
    else t[place] = next * phases;
  }

  /** Nothing that a client was promised matters any more: fewer states that way. */
  #stop(t: State, client: number): void {
    const place = this.#clients + clientSize * client;
    t.fill(0, place, place + clientSize);
    t[place] = stopped;
  }

  #blobSteps(step: Stepper, client: number, blob: number, pc: number): void {
    const o = this.#objects.findIndex((each) => each.client === client && each.instruction === Math.floor(pc / phases));
    const who = `client ${client}: `;
    const pending = this.#clients + clientSize * client + 1;
    switch (pc % phases) {
      case phase.head:
        step(`${who}T_head blob ${blob}`, (t) => {
          if (!this.#isLinked(t, blob)) {
            this.#go(t, client, this.#has('fileBeforeRow') ? phase.create : phase.open);
            return undefined;
          }
          if (!this.#has('headNoLease')) this.#renewLink(t, blob);
          t[pending] = 1 + blob;
          this.#go(t, client, phase.headSync);
          return undefined;
        });
        return;
      case phase.open:
        // Not synced: the open of an upload promises nothing.
        step(`${who}T_open of object ${o}`, (t) => {
          t[o] = object.pending | object.open;
          this.#go(t, client, this.#has('fileBeforeRow') ? phase.sync : phase.claim);
          return undefined;
        });
        return;
      case phase.claim:
        step(`${who}claims the upload`, (t) => {
          if (this.#is(t, o, object.open)) this.#go(t, client, phase.create);
          else this.#stop(t, client);
          return undefined;
        });
        return;
      case phase.create:
        step(`${who}writes file ${o}`, (t) => {
          if (at(t, this.#file(o)) !== file.synced) t[this.#file(o)] = file.written;
          this.#go(t, client, this.#has('fileBeforeRow') ? phase.open : phase.sync);
          return undefined;
        });
        return;
      case phase.sync:
        step(`${who}looks for the digest, and syncs file ${o} where it is not there`, (t) => {
          const mustSync = this.#live(t, blob) === -1 && !this.#has('commitUnsyncedFile');
          if (mustSync && at(t, this.#file(o)) === file.written) t[this.#file(o)] = file.synced;
          this.#go(t, client, phase.commit);
          return undefined;
        });
        return;
      case phase.commit:
        step(`${who}T_commit of object ${o}`, (t) => this.#commitUpload(t, client, blob, o));
        return;
    }
  }

  #commitUpload(t: State, client: number, blob: number, o: number): undefined {
    if (!this.#is(t, o, object.open)) {
      this.#stop(t, client);
      return;
    }
    const wasLinked = this.#isLinked(t, blob);
    const live = this.#live(t, blob);
    if (live === -1 && at(t, this.#file(o)) !== file.synced && !this.#has('commitUnsyncedFile')) {
      // needs-sync: the live object went since the look at it.
      if (at(t, this.#file(o)) === file.written) t[this.#file(o)] = file.synced;
      return;
    }
    this.#off(t, o, object.open);
    if (live === -1) {
      this.#setObject(t, o, object.live);
    } else if (this.#has('nameIsDigest')) {
      // The copies are one file.
      t[o] = object.none;
    } else {
      this.#setObject(t, o, object.dead);
      this.#on(t, o, object.task);
    }
    this.#uploadEnds(t);
    this.#on(t, this.#links + blob, link.there);
    if (!(wasLinked && this.#has('commitNoLease'))) this.#renewLink(t, blob);
    t[this.#clients + clientSize * client + 1] = 1 + blob;
    this.#go(t, client, phase.commitSync);
  }

  #renewLink(t: State, blob: number): void {
    this.#setLease(t, blob, lease.runs);
    this.#on(t, this.#links + blob, link.task);
  }

  /** Leases that only an upload under way has prolonged end with the last one. */
  #uploadEnds(t: State): void {
    if (this.#hasOpenUpload(t)) return;
    for (let blob = 0; blob < this.#world.blobs; blob++) {
      if ((at(t, this.#links + blob) & lease.bits) !== lease.prolonged) continue;
      this.#setLease(t, blob, lease.over);
      this.#endPromises(t, 'blobs', blob);
    }
  }

  #manifestSteps(step: Stepper, client: number, m: number, isTagged: boolean, pc: number): void {
    const who = `client ${client}: `;
    const { name } = this.#shape(m);
    const put = this.#manifests + m;
    switch (pc % phases) {
      case phase.head:
        if (isTagged) {
          step(`${who}goes on to ${name}`, (t) => {
            this.#go(t, client, phase.put);
            return undefined;
          });
          return;
        }
        step(`${who}T_head ${name}`, (t) => {
          if (this.#manifest(t, m) !== manifest.live) {
            this.#go(t, client, phase.put);
            return undefined;
          }
          if (!this.#has('headNoLease')) this.#on(t, put, manifest.timed | manifest.task);
          t[this.#clients + clientSize * client + 1] = 128 + m;
          this.#go(t, client, phase.headSync);
          return undefined;
        });
        return;
      case phase.put:
        step(`${who}T_put ${name}`, (t) => {
          const { blobs, children } = this.#shape(m);
          const { blobs: promisedBlobs, manifests: promisedManifests } = this.#promise(t, client);
          const noBlobs = blobs.filter((blob) => !this.#isLinked(t, blob));
          const noChildren = children.filter((child) => this.#manifest(t, child) !== manifest.live);
          if (noBlobs.length + noChildren.length > 0) {
            this.#stop(t, client);
            const isBroken =
              noBlobs.some((blob) => (promisedBlobs & (1 << blob)) !== 0) ||
              noChildren.some((child) => (promisedManifests & (1 << child)) !== 0);
            return isBroken ? 'a manifest is refused for want of what its client was told is there' : undefined;
          }
          if (this.#has('splitPut')) this.#go(t, client, phase.putLate);
          else this.#put(t, client, m, isTagged);
          return undefined;
        });
        return;
      case phase.putLate:
        step(`${who}writes ${name}`, (t) => {
          this.#put(t, client, m, isTagged);
          return undefined;
        });
        return;
    }
  }

  #put(t: State, client: number, m: number, isTagged: boolean): void {
    const place = this.#manifests + m;
    const tag = isTagged ? manifest.tag : at(t, place) & manifest.tag;
    t[place] = manifest.live | manifest.timed | manifest.task | tag | (at(t, place) & manifest.trashedTag);
    if (isTagged)
      t[this.#acks + m] = this.#has('answerUnsynced') ? ack.given : Math.max(at(t, this.#acks + m), ack.committed);
    t[this.#clients + clientSize * client + 1] = 128 + m;
    this.#go(t, client, phase.putSync);
  }

  #deleteSteps(s: State, step: Stepper): void {
    for (const [number, { what, manifest: m }] of this.#world.deletes.entries()) {
      if (this.#is(s, this.#used, 1 << number)) continue;
      const place = this.#manifests + m;
      const { name } = this.#shape(m);
      if (what === 'tag' && this.#is(s, place, manifest.tag)) {
        step(`T_tag_delete ${name}`, (t) => {
          this.#on(t, this.#used, 1 << number);
          t[this.#acks + m] = ack.none;
          this.#off(t, place, manifest.tag);
          this.#on(t, place, manifest.timed | this.#trashedTag());
          if (!this.#has('tagDeleteNoReview')) this.#on(t, place, manifest.task);
          return undefined;
        });
      }
      const isReferenced = this.#parentsOf(s, m).some((parent) => this.#manifest(s, parent) === manifest.live);
      const mayGo = !isReferenced || this.#has('deleteListedChild');
      if (what === 'manifest' && this.#manifest(s, m) === manifest.live && mayGo) {
        step(`T_manifest_delete ${name}`, (t) => {
          this.#on(t, this.#used, 1 << number);
          t[this.#acks + m] = ack.none;
          this.#endPromises(t, 'manifests', m);
          const wasTagged = this.#is(t, place, manifest.tag);
          const task = this.#has('manifestDeleteNoReview') ? at(t, place) & manifest.task : manifest.task;
          t[place] = manifest.trashed | manifest.timed | task;
          if (wasTagged) this.#on(t, place, this.#trashedTag());
          return undefined;
        });
      }
    }
    for (const [number, m] of this.#world.undoes.entries()) {
      const place = this.#manifests + m;
      const isDone = this.#is(s, this.#used + 1, 1 << number);
      const mayBe = this.#manifest(s, m) === manifest.trashed || this.#is(s, place, manifest.trashedTag);
      const { name, children } = this.#shape(m);
      if (isDone || this.#manifest(s, m) === manifest.gone || !mayBe) continue;
      step(`T_undo ${name}`, (t) => {
        this.#on(t, this.#used + 1, 1 << number);
        for (const back of this.#has('undoWithoutChildren') ? [m] : [m, ...children]) {
          const each = this.#manifests + back;
          const tag = this.#is(t, each, manifest.trashedTag) && back === m ? manifest.tag : at(t, each) & manifest.tag;
          t[each] = manifest.live | manifest.task | manifest.timed | tag;
        }
        return undefined;
      });
    }
  }

  /** What a tag pointed at is only remembered where somebody may want it back. */
  #trashedTag(): number {
    return this.#world.undoes.length > 0 ? manifest.trashedTag : 0;
  }

  #timeSteps(s: State, step: Stepper): void {
    for (let blob = 0; blob < this.#world.blobs; blob++) {
      if ((at(s, this.#links + blob) & lease.bits) === lease.runs) {
        step(`the lease of blob ${blob} ends`, (t) => {
          const isProlonged = this.#hasOpenUpload(t);
          const isSeen = isProlonged && !this.#has('uploadHoldsNothing');
          this.#setLease(t, blob, isSeen ? lease.prolonged : lease.over);
          if (!isProlonged) this.#endPromises(t, 'blobs', blob);
          return undefined;
        });
      }
    }
    for (let m = 0; m < this.#world.manifests.length; m++) {
      if (!this.#is(s, this.#manifests + m, manifest.timed)) continue;
      step(`the windows of ${this.#shape(m).name} end`, (t) => {
        this.#off(t, this.#manifests + m, manifest.timed);
        this.#endPromises(t, 'manifests', m);
        return undefined;
      });
    }
    for (const [o, { client }] of this.#objects.entries()) {
      if (!this.#is(s, o, object.open)) continue;
      const pc = client === -1 ? stopped : at(s, this.#clients + clientSize * client);
      const isMine = Math.floor(pc / phases) === this.#upload(o).instruction;
      const isWriting = pc !== stopped && isMine && pc % phases >= phase.create && pc % phases <= phase.commit;
      if (isWriting && !this.#has('expireWhileWriting')) continue;
      step(`T_expire of the upload of object ${o}`, (t) => {
        this.#off(t, o, object.open);
        this.#setObject(t, o, object.dead);
        this.#on(t, o, object.task);
        this.#uploadEnds(t);
        return undefined;
      });
    }
  }

  // The collector.

  collectorSteps(s: State, step: Stepper): void {
    for (let m = 0; m < this.#world.manifests.length; m++) this.#reviewManifest(s, step, m);
    for (let blob = 0; blob < this.#world.blobs; blob++) this.#reviewLink(s, step, blob);
    for (let r = 0; r < this.#world.reclaimers; r++) {
      const place = this.#reclaimers + 2 * r;
      if (at(s, place) === reclaim.idle) this.#reviewObjects(s, step, place);
      else this.#reclaimSteps(s, step, place, at(s, place + 1));
    }
  }

  #parentsOf(s: State, m: number): readonly number[] {
    return (this.#parents[m] ?? []).filter((parent) => this.#manifest(s, parent) !== manifest.gone);
  }

  #holdsItself(s: State, m: number): 'for ever' | 'for a time' | undefined {
    if (this.#is(s, this.#manifests + m, manifest.tag)) return 'for ever';
    return this.#is(s, this.#manifests + m, manifest.timed) ? 'for a time' : undefined;
  }

  /** searchHold, as collector/hold.ts has it. */
  #search(
    s: State,
    m: number,
  ): { held: 'for ever' | 'for a time' | undefined; visited: readonly number[]; isListed: boolean } {
    const visited: number[] = [];
    const waiting = [m];
    let isListed = false;
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (visited.includes(next) || this.#manifest(s, next) === manifest.gone) continue;
      visited.push(next);
      const held = this.#holdsItself(s, next);
      if (held !== undefined) return { held, visited, isListed };
      const parents = this.#has('ignoreParents') ? [] : this.#parentsOf(s, next);
      if (next === m) isListed = this.#parentsOf(s, next).length > 0;
      waiting.push(...parents);
      const { subject } = this.#shape(next);
      if (subject === undefined || this.#manifest(s, next) !== manifest.live || this.#has('ignoreSubject')) continue;
      if (this.#has('subjectHolds') && this.#manifest(s, subject) !== manifest.gone) {
        return { held: 'for ever', visited, isListed };
      }
      waiting.push(subject);
    }
    return { held: undefined, visited, isListed };
  }

  #reviewManifest(s: State, step: Stepper, m: number): void {
    const place = this.#manifests + m;
    if (!this.#is(s, place, manifest.task)) return;
    const { name, children, blobs } = this.#shape(m);
    const { held, visited, isListed } = this.#search(s, m);
    // It is looked at again when the time is over.
    if (held === 'for a time') return;
    if (held === 'for ever' || this.#manifest(s, m) === manifest.gone) {
      if (this.#has('splitReview')) {
        this.#lookFirst(s, step, reclaim.finishManifest, m, `T_review(${name}) looks: keep`);
        return;
      }
      step(`T_review(${name}): keep`, (t) => {
        this.#off(t, place, manifest.task);
        return undefined;
      });
      return;
    }
    if (isListed && !this.#has('childrenFirst') && !this.#has('ignoreParents')) {
      step(`T_review(${name}): its index first`, (t) => {
        this.#off(t, place, manifest.task);
        if (this.#has('parentsNotReviewed')) return undefined;
        for (const each of visited) if (each !== m) this.#on(t, this.#manifests + each, manifest.task);
        return undefined;
      });
      return;
    }
    step(`T_review(${name}): remove`, (t) => {
      t[place] = manifest.gone;
      const left = [
        ...(this.#has('childrenNotReviewed') ? [] : children),
        ...(this.#has('referrersNotReviewed') ? [] : (this.#referrers[m] ?? [])),
      ].filter((each) => this.#manifest(t, each) !== manifest.gone);
      for (const each of left) this.#on(t, this.#manifests + each, manifest.task | manifest.timed);
      for (const blob of this.#has('linksNotReviewed') ? [] : blobs) {
        if (this.#isLinked(t, blob)) this.#on(t, this.#links + blob, link.task);
      }
      return this.#heldManifests(s).has(m) ? `the collector takes what is held: ${name}` : undefined;
    });
  }

  /** Only for the mistake of finishing a task later than it was looked at. */
  #lookFirst(s: State, step: Stepper, to: number, what: number, name: string): void {
    for (let r = 0; r < this.#world.reclaimers; r++) {
      const place = this.#reclaimers + 2 * r;
      if (at(s, place) !== reclaim.idle) continue;
      step(name, (t) => {
        t[place] = to;
        t[place + 1] = what;
        return undefined;
      });
      return;
    }
  }

  #needs(s: State, blob: number): boolean {
    return (this.#users[blob] ?? []).some((m) => {
      const state = this.#manifest(s, m);
      return state === manifest.live || (state === manifest.trashed && !this.#has('trashHoldsNothing'));
    });
  }

  #reviewLink(s: State, step: Stepper, blob: number): void {
    const place = this.#links + blob;
    if (!this.#is(s, place, link.task)) return;
    const isLeased = (at(s, place) & lease.bits) !== lease.over;
    if (this.#needs(s, blob) || !this.#isLinked(s, blob)) {
      if (this.#has('splitReview')) {
        this.#lookFirst(s, step, reclaim.finishLink, blob, `T_review(link ${blob}) looks: keep`);
        return;
      }
      step(`T_review(link ${blob}): keep`, (t) => {
        this.#off(t, place, link.task);
        return undefined;
      });
    } else if (!isLeased) {
      step(`T_review(link ${blob}): remove`, (t) => {
        t[place] = 0;
        const live = this.#live(t, blob);
        if (live !== -1 && !this.#has('objectNotReviewed')) this.#on(t, live, object.task);
        return undefined;
      });
    }
  }

  #reviewObjects(s: State, step: Stepper, reclaimer: number): void {
    for (const [o, { blob }] of this.#objects.entries()) {
      if (!this.#is(s, o, object.task)) continue;
      const take = (t: State, to: number): void => {
        t[reclaimer] = to;
        t[reclaimer + 1] = o;
      };
      switch (this.#object(s, o)) {
        case object.live:
          if (this.#isLinked(s, blob)) {
            step(`T_condemn object ${o}: keep`, (t) => {
              this.#off(t, o, object.task);
              return undefined;
            });
          } else if (this.#has('unlinkFirst')) {
            step(`unlinks file ${o}, then T_condemn`, (t) => {
              t[this.#file(o)] = file.none;
              take(t, reclaim.deleteRow);
              return undefined;
            });
          } else if (this.#has('splitCondemn')) {
            step(`looks whether anything links object ${o}`, (t) => {
              take(t, reclaim.condemn);
              return undefined;
            });
          } else {
            step(`T_condemn object ${o}`, (t) => {
              this.#setObject(t, o, object.condemned);
              return undefined;
            });
          }
          break;
        case object.condemned:
          step(`T_kill object ${o}`, (t) => {
            this.#setObject(t, o, object.dead);
            take(t, this.#has('unlinkUnsynced') ? reclaim.unlink : reclaim.sync);
            return undefined;
          });
          break;
        case object.dead:
          step(`takes up dead object ${o}`, (t) => {
            take(t, this.#has('unlinkUnsynced') ? reclaim.unlink : reclaim.sync);
            return undefined;
          });
          break;
        case object.none:
          step(`T_forget object ${o}, again`, (t) => {
            this.#off(t, o, object.task);
            return undefined;
          });
          break;
      }
    }
  }

  #reclaimSteps(s: State, step: Stepper, place: number, o: number): void {
    const to = (t: State, next: number): undefined => {
      t[place] = next;
      if (next === reclaim.idle) t[place + 1] = 0;
    };
    switch (at(s, place)) {
      case reclaim.unlink:
        step(`unlink of file ${o}`, (t) => {
          const there = at(t, this.#file(o));
          if (there === file.written || there === file.synced) t[this.#file(o)] = file.unlinked;
          return to(t, this.#has('forgetEarly') ? reclaim.forget : reclaim.syncDirectory);
        });
        return;
      case reclaim.syncDirectory:
        step(`sync of the directory of file ${o}`, (t) => {
          if (at(t, this.#file(o)) === file.unlinked) t[this.#file(o)] = file.none;
          return to(t, reclaim.forget);
        });
        return;
      case reclaim.forget:
        step(`T_forget object ${o}`, (t) => {
          if (this.#object(t, o) === object.dead) t[o] = object.none;
          return to(t, reclaim.idle);
        });
        return;
      case reclaim.condemn:
        step(`T_condemn object ${o}, without looking again`, (t) => {
          if (this.#object(t, o) === object.live) this.#setObject(t, o, object.condemned);
          return to(t, reclaim.idle);
        });
        return;
      case reclaim.deleteRow:
        step(`deletes the row of object ${o}, where nothing links it`, (t) => {
          if (this.#isLinked(t, this.#upload(o).blob)) this.#off(t, o, object.task);
          else t[o] = object.none;
          return to(t, reclaim.idle);
        });
        return;
      case reclaim.finishLink:
        step(`finishes the review of link ${o}`, (t) => {
          this.#off(t, this.#links + o, link.task);
          return to(t, reclaim.idle);
        });
        return;
      case reclaim.finishManifest:
        step(`finishes the review of ${this.#shape(o).name}`, (t) => {
          this.#off(t, this.#manifests + o, manifest.task);
          return to(t, reclaim.idle);
        });
        return;
    }
  }

  // The disk.

  #diskSteps(s: State, step: Stepper): void {
    const isWaiting =
      this.#world.clients.some((_, client) => isSyncPhase(at(s, this.#clients + clientSize * client))) ||
      range(this.#world.reclaimers).some((r) => at(s, this.#reclaimers + 2 * r) === reclaim.sync);
    if (isWaiting || (this.#world.crashes > 0 && !this.#isSynced(s))) {
      step('sync of the log', (t) => {
        this.#sync(t);
        this.#acknowledge(t);
        return undefined;
      });
    }
    if (at(s, this.#crashes) >= this.#world.crashes) return;
    step('kill -9', (t) => {
      this.#crash(t);
      for (let o = 0; o < this.#objects.length; o++) {
        if (at(t, this.#files + o) === file.unlinked) t[this.#files + o] = file.none;
      }
      return undefined;
    });
    step('power loss', (t) => {
      this.#crash(t);
      for (let place = 0; place < this.#databaseSize; place++) t[place] = at(t, this.#databaseSize + place);
      for (let o = 0; o < this.#objects.length; o++) {
        const place = this.#files + o;
        // Whether a name that was not synced is still there, nobody knows: the one that is worse is assumed.
        if (at(t, place) === file.unlinked) t[place] = file.synced;
        else if (at(t, place) === file.written)
          t[place] = this.#object(t, o) === object.pending ? file.none : file.lost;
        // An upload whose opening was lost leaves a file that no row knows (docs/reliability.md).
        const hasNeverBeen = this.#object(t, o) === object.none && this.#upload(o).client !== -1;
        if (hasNeverBeen && at(t, place) !== file.none && !this.#has('forgetEarly')) t[place] = file.lost;
      }
      return undefined;
    });
  }

  /** Whoever waited for the sync is answered. */
  #acknowledge(t: State): void {
    for (let client = 0; client < this.#world.clients.length; client++) {
      const place = this.#clients + clientSize * client;
      const pending = at(t, place + 1);
      if (!isSyncPhase(at(t, place))) continue;
      if (pending >= 128) this.#on(t, place + 3, 1 << (pending - 128));
      else if (pending > 0) this.#on(t, place + 2, 1 << (pending - 1));
      t[place + 1] = 0;
      this.#goNext(t, client);
    }
    for (let m = 0; m < this.#world.manifests.length; m++) {
      if (at(t, this.#acks + m) === ack.committed) t[this.#acks + m] = ack.given;
    }
    for (let r = 0; r < this.#world.reclaimers; r++) {
      const place = this.#reclaimers + 2 * r;
      if (at(t, place) === reclaim.sync) t[place] = reclaim.unlink;
    }
  }

  #crash(t: State): void {
    t[this.#crashes] = at(t, this.#crashes) + 1;
    for (let client = 0; client < this.#world.clients.length; client++) {
      const place = this.#clients + clientSize * client;
      t.fill(0, place, place + clientSize);
      t[place] = stopped;
    }
    for (let r = 0; r < this.#world.reclaimers; r++) t.fill(0, this.#reclaimers + 2 * r, this.#reclaimers + 2 * r + 2);
    for (let m = 0; m < this.#world.manifests.length; m++) {
      if (at(t, this.#acks + m) === ack.committed) t[this.#acks + m] = ack.none;
    }
  }

  // What must be so in every state.

  wrong(s: State): string | undefined {
    return this.#wrongObjects(s) ?? this.#wrongLinks(s) ?? this.#wrongManifests(s);
  }

  #isReadable(s: State, blob: number): boolean {
    const live = this.#live(s, blob);
    return live !== -1 && at(s, this.#file(live)) === file.synced;
  }

  #wrongObjects(s: State): string | undefined {
    for (const [o, { blob }] of this.#objects.entries()) {
      const state = this.#object(s, o);
      const isQueued =
        this.#is(s, o, object.task) ||
        range(this.#world.reclaimers).some((r) => {
          const place = this.#reclaimers + 2 * r;
          return at(s, place) !== reclaim.idle && at(s, place) < reclaim.finishLink && at(s, place + 1) === o;
        });
      const there = at(s, this.#files + o);
      if (state === object.none && (there === file.written || there === file.synced || there === file.unlinked)) {
        if (!this.#has('nameIsDigest'))
          return 'I9: a file, or its removal, that is not on the disk for good, has no row';
      }
      if (state === object.pending && !this.#is(s, o, object.open)) return 'I9: a pending object has no upload';
      if ((state === object.condemned || state === object.dead) && !isQueued)
        return 'I9: nothing will take a dead object away';
      if (state !== object.live) continue;
      if (!this.#isLinked(s, blob) && !isQueued) return 'I9: nothing links a live object, and nothing will review it';
      const others = this.#objects.some((each, n) => n > o && each.blob === blob && this.#object(s, n) === object.live);
      if (others) return 'I2: a digest has two live objects';
    }
    return undefined;
  }

  #wrongLinks(s: State): string | undefined {
    for (let blob = 0; blob < this.#world.blobs; blob++) {
      if (!this.#isLinked(s, blob)) continue;
      if (!this.#isReadable(s, blob)) return 'I3: a link has no live object with its bytes on the disk';
      const isUsed = (this.#users[blob] ?? []).some((m) => this.#manifest(s, m) !== manifest.gone);
      if (!isUsed && !this.#is(s, this.#links + blob, link.task))
        return 'I9: nothing needs a link, and nothing will review it';
    }
    return undefined;
  }

  #wrongManifests(s: State): string | undefined {
    for (let m = 0; m < this.#world.manifests.length; m++) {
      const state = this.#manifest(s, m);
      const { blobs, children, name } = this.#shape(m);
      const isTagged = this.#is(s, this.#manifests + m, manifest.tag);
      if (at(s, this.#acks + m) === ack.given && !(state === manifest.live && isTagged && this.#isWhole(s, m))) {
        return `an acknowledged image is lost: ${name}`;
      }
      if (state === manifest.gone) continue;
      if (blobs.some((blob) => !this.#isLinked(s, blob))) return 'I4: a manifest needs a blob that is not linked';
      if (children.some((child) => this.#manifest(s, child) === manifest.gone))
        return 'I5: an index lists a manifest that is gone';
      if (state === manifest.live && children.some((child) => this.#manifest(s, child) !== manifest.live)) {
        return 'I5: a visible index lists a manifest that is not';
      }
      if (!this.#isHeld(s, m) && !this.#isReviewed(s, m))
        return `I9: nothing holds ${name}, and nothing will review it`;
    }
    return undefined;
  }

  #isWhole(s: State, m: number): boolean {
    const { blobs, children } = this.#shape(m);
    return (
      this.#manifest(s, m) === manifest.live &&
      blobs.every((blob) => this.#isLinked(s, blob) && this.#isReadable(s, blob)) &&
      children.every((child) => this.#isWhole(s, child))
    );
  }

  /** Whether something holds a manifest: by definition, and not as the collector looks for it. */
  #isHeld(s: State, m: number): boolean {
    return this.#heldManifests(s).has(m);
  }

  #heldManifests(s: State): ReadonlySet<number> {
    const held = new Set<number>();
    const waiting = range(this.#world.manifests.length).filter(
      (m) => this.#manifest(s, m) !== manifest.gone && this.#is(s, this.#manifests + m, manifest.tag | manifest.timed),
    );
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (held.has(next) || this.#manifest(s, next) === manifest.gone) continue;
      held.add(next);
      waiting.push(...this.#shape(next).children);
      waiting.push(...(this.#referrers[next] ?? []).filter((each) => this.#manifest(s, each) === manifest.live));
    }
    return held;
  }

  #isReviewed(s: State, m: number): boolean {
    const above = new Set([m]);
    for (const each of above) {
      if (this.#is(s, this.#manifests + each, manifest.task)) return true;
      for (const parent of this.#parentsOf(s, each)) above.add(parent);
      const { subject } = this.#shape(each);
      if (subject !== undefined && this.#manifest(s, subject) !== manifest.gone) above.add(subject);
    }
    return false;
  }

  // What must come of every state, when nobody does anything any more.

  /** Lets time pass and the collector work until there is nothing to do. @returns what is wrong then */
  wrongAtRest(from: State): string | undefined {
    let s = from.slice();
    for (let client = 0; client < this.#world.clients.length; client++)
      s[this.#clients + clientSize * client] = stopped;
    for (let count = 0; count < 1000; count++) {
      const next = this.#anyStepToRest(s);
      if (next === undefined) return this.#wrongRest(s);
      s = next;
    }
    return 'the collector never comes to rest';
  }

  #anyStepToRest(s: State): State | undefined {
    let found: State | undefined;
    const take: Stepper = (_name, change) => {
      if (found !== undefined) return;
      const t = s.slice();
      change(t);
      found = t;
    };
    this.#timeSteps(s, take);
    if (found === undefined) this.collectorSteps(s, take);
    const isWaiting = range(this.#world.reclaimers).some((r) => at(s, this.#reclaimers + 2 * r) === reclaim.sync);
    if (found === undefined && isWaiting) {
      const t = s.slice();
      this.#sync(t);
      this.#acknowledge(t);
      return t;
    }
    return found;
  }

  #wrongRest(s: State): string | undefined {
    const held = this.#heldManifests(s);
    for (let m = 0; m < this.#world.manifests.length; m++) {
      if ((this.#manifest(s, m) !== manifest.gone) !== held.has(m))
        return `at rest ${this.#shape(m).name} is not where it should be`;
    }
    for (let blob = 0; blob < this.#world.blobs; blob++) {
      const isNeeded = (this.#users[blob] ?? []).some((m) => held.has(m));
      if (this.#isLinked(s, blob) !== isNeeded) return `at rest the link of blob ${blob} is not where it should be`;
      const files = this.#objects.filter(
        (each, o) => each.blob === blob && at(s, this.#files + o) !== file.none && at(s, this.#files + o) !== file.lost,
      );
      const objects = this.#objects.filter((each, o) => each.blob === blob && this.#object(s, o) !== object.none);
      const expected = isNeeded ? 1 : 0;
      if (objects.length !== expected) return `at rest blob ${blob} has ${objects.length} objects`;
      if (files.length !== expected) return `at rest blob ${blob} has ${files.length} files`;
    }
    return undefined;
  }
}

type Stepper = (name: string, change: (t: State) => string | undefined) => void;

function isSyncPhase(pc: number): boolean {
  if (pc === stopped) return false;
  const now = pc % phases;
  return now === phase.headSync || now === phase.commitSync || now === phase.putSync;
}

function at(s: State, place: number): number {
  return s[place] ?? 0;
}

function range(length: number): readonly number[] {
  return Array.from({ length }, (_, index) => index);
}

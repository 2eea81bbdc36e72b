import type { Digest } from '../../src/oci/digest.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { RepositoryName } from '../../src/oci/names.ts';
import type { Reference as TagOrDigest } from '../../src/oci/reference.ts';
import { deleteBlob, findBlob, headBlobForPush } from '../../src/registry/blob.ts';
import { deleteManifest, removeTag } from '../../src/registry/manifest-delete.ts';
import { getManifest, headManifestForPush } from '../../src/registry/manifest-get.ts';
import { putManifest } from '../../src/registry/manifest-put.ts';
import { mountBlob } from '../../src/registry/mount.ts';
import { unconditional } from '../../src/registry/precondition.ts';
import { appendToUpload } from '../../src/registry/upload-append.ts';
import { closeUpload } from '../../src/registry/upload-close.ts';
import { openUpload } from '../../src/registry/upload-open.ts';
import { cancelUpload } from '../../src/registry/upload-status.ts';
import { pushWholeBlob } from '../../src/registry/upload-whole.ts';
import { nameOf, Reference } from './reference.ts';
import type { Action, Schedule, Step } from './schedule.ts';
import { blobs, type KnownManifest, manifestOf, manifests, repositories, tags } from './universe.ts';
import { type Mutation, type Seen, World } from './world.ts';

const day = 24 * 3_600_000;
/** How far a hand of the clock goes that lets every window pass, in ms. */
const longerThanAnyWindow = 60 * day;
/** A chain of windows, one beginning when the other ends, is no longer than the longest chain of manifests. */
const windowsInARow = 12;
const chunkBytes = 8;

/** The registry did something that it must not. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

/** Runs a schedule on a registry of its own and checks it after every step. @returns how many operations it has made */
export async function runSchedule(schedule: Schedule, mutation?: Mutation): Promise<number> {
  const { windows, sparse, steps } = schedule;
  await using world = await World.open({ windows, sparse, ...(mutation === undefined ? {} : { mutation }) });
  const run = new Run(world, new Reference(windows, sparse));
  for (const step of steps) {
    await run.step(step);
    await run.check();
  }
  await run.end();
  return run.operations;
}

/** A request's answer in a word. */
type Answer = string;

/** Whatever the outcome of an upload's opening was called. */
interface Opened {
  id: string | undefined;
}

class Run {
  readonly #world: World;
  #model: Reference;
  operations = 0;

  constructor(world: World, model: Reference) {
    this.#world = world;
    this.#model = model;
  }

  async step(step: Step): Promise<void> {
    switch (step.step) {
      case 'alone':
        await this.#alone(step.action);
        return;
      case 'while collecting':
        await this.#whileCollecting(step.action);
        return;
      case 'killed':
        await this.#killed(step.action, step.turns);
        return;
      case 'restart':
        this.operations++;
        await this.#world.restart();
        this.#model.pullsEnd(true);
        break;
      case 'collect all':
        this.operations++;
        await this.#world.collect();
        await this.#follow();
        this.#checkAtRest(this.#world.seen());
        return;
      case 'push':
        await this.#push(at(repositories, step.repo), step.repo, at(manifests, step.manifest), step.tags);
        return;
    }
    await this.#follow();
  }

  async #alone(action: Action): Promise<void> {
    this.operations++;
    const opened: Opened = { id: undefined };
    const answer = await this.#perform(action, opened);
    const expected = this.#judge(this.#model, action, opened);
    if (answer !== expected) {
      throw new Broken(`"${action.do}" was answered "${answer}" where it should be "${expected}": ${told(action)}`);
    }
    await this.#follow();
  }

  /** The collector may have come before the action or after it; the model has to agree with one of the two. */
  async #whileCollecting(action: Action): Promise<void> {
    this.operations += 2;
    const opened: Opened = { id: undefined };
    const collecting = this.#world.collect();
    const [answer] = await Promise.all([this.#perform(action, opened), collecting]);
    await this.#world.idle();
    const seen = this.#world.seen();

    const before = this.#model.copy();
    const after = this.#model;
    const hadSession = 'slot' in action && after.uploads.has(action.slot);
    const problems: string[] = [];
    const expected = this.#judge(after, action, opened);
    if (answer === expected) problems.push(...this.#goneFrom(after, seen));
    else problems.push(`"${answer}" instead of "${expected}"`);
    if (problems.length === 0) return;

    this.#forgetGone(before, seen);
    const isSessionGone = hadSession && 'slot' in action && !before.uploads.has(action.slot);
    const judged = this.#judge(before, action, opened);
    const otherwise = isSessionGone && action.do !== 'open upload' ? 'unknown' : judged;
    if (answer === otherwise) {
      const others = this.#goneFrom(before, seen);
      if (others.length === 0) {
        this.#model = before;
        return;
      }
      problems.push(...others);
    } else {
      problems.push(`"${answer}" instead of "${otherwise}"`);
    }
    throw new Broken(`"${action.do}" while collecting: ${problems.join('; ')}: ${told(action)}`);
  }

  /** What was not answered may have happened or not; what was answered has. */
  async #killed(action: Action, turns: number): Promise<void> {
    this.operations += 2;
    const opened: Opened = { id: undefined };
    let answer: Answer | undefined;
    const performing = (async () => {
      answer = await this.#perform(action, opened);
    })();
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    const answered = answer;
    await this.#world.kill(performing);
    const seen = this.#world.seen();

    this.#model.pullsEnd(false);
    const without = this.#model.copy();
    const problems: string[] = [];
    if (answered === undefined) {
      // The client gives the session up, since it does not know how it stands.
      if ('slot' in action) without.uploads.delete(action.slot);
      problems.push(...this.#goneFrom(without, seen));
      if (problems.length === 0) {
        this.#model = without;
        return;
      }
    }
    const expected = this.#judge(this.#model, action, opened);
    if (answered !== undefined && answered !== expected) problems.push(`"${answered}" instead of "${expected}"`);
    if (answered === undefined && 'slot' in action) this.#model.uploads.delete(action.slot);
    this.#model.pullsEnd(false);
    const others = this.#goneFrom(this.#model, seen);
    if (others.length > 0 || (answered !== undefined && problems.length > 0)) {
      throw new Broken(
        `"${action.do}" killed ${answered === undefined ? 'before' : 'after'} its answer: ` +
          `${[...problems, ...others].join('; ')}: ${told(action)}`,
      );
    }
  }

  /** Asks for each part, pushes those that are not there, and what they were for. */
  async #push(
    repo: RepositoryName,
    place: number,
    { digest, blobs: needed, children, subject }: KnownManifest,
    withTags: readonly number[],
  ): Promise<void> {
    for (const part of needed) {
      const blob = blobs.findIndex((each) => each.digest === part);
      await this.#alone({ do: 'head blob', repo: place, blob });
      if (!this.#model.seesBlob(repo, part)) await this.#alone({ do: 'push blob', repo: place, blob });
    }
    for (const child of children) {
      await this.#alone({ do: 'head manifest', repo: place, manifest: placeOf(child) });
      if (!this.#model.sees(repo, child)) await this.#push(repo, place, manifestOf(child), []);
    }
    if (subject !== undefined && withTags.length > 0 && !this.#model.sees(repo, subject)) {
      await this.#push(repo, place, manifestOf(subject), []);
    }
    await this.#alone({ do: 'put manifest', repo: place, manifest: placeOf(digest), tags: withTags });
  }

  // What the registry does, and what the model makes of it.

  async #perform(action: Action, opened: Opened): Promise<Answer> {
    const { registry } = this.#world;
    switch (action.do) {
      case 'push blob': {
        const { digest, bytes } = at(blobs, action.blob);
        const repo = at(repositories, action.repo);
        return (await pushWholeBlob(registry, { repo, digest, ...chunkOf(bytes) })).outcome;
      }
      case 'open upload':
        opened.id = await openUpload(registry, at(repositories, action.repo), 'sha256');
        return 'opened';
      case 'send chunk': {
        const upload = this.#model.uploads.get(action.slot);
        if (upload === undefined) return 'nothing to do';
        const { repo, id } = upload;
        const chunk = nextChunk(upload.bytes, at(blobs, action.blob).bytes);
        return (await appendToUpload(registry, { repo, id, ...chunkOf(chunk), isLast: false })).outcome;
      }
      case 'close upload': {
        const upload = this.#model.uploads.get(action.slot);
        if (upload === undefined) return 'nothing to do';
        const { repo, id } = upload;
        const { digest, bytes } = at(blobs, action.blob);
        const rest = restOf(bytes, upload.bytes) ?? new Uint8Array();
        return (await closeUpload(registry, { repo, id, digest, ...chunkOf(rest) })).outcome;
      }
      case 'cancel upload': {
        const upload = this.#model.uploads.get(action.slot);
        if (upload === undefined) return 'nothing to do';
        return (await cancelUpload(registry, upload.repo, upload.id)).outcome;
      }
      case 'head blob':
        return (await headBlobForPush(registry, at(repositories, action.repo), at(blobs, action.blob).digest)).outcome;
      case 'mount': {
        const [repo, from] = [at(repositories, action.repo), at(repositories, action.from)];
        const isMounted = await mountBlob(registry, { repo, from, digest: at(blobs, action.blob).digest });
        return isMounted ? 'mounted' : 'unknown';
      }
      case 'delete blob':
        return (await deleteBlob(registry, at(repositories, action.repo), at(blobs, action.blob).digest)).outcome;
      case 'put manifest': {
        const { digest, bytes, mediaType } = at(manifests, action.manifest);
        const named = action.tags.map((place) => at(tags, place));
        const [tag] = named;
        const put = await putManifest(registry, {
          repo: at(repositories, action.repo),
          reference: tag === undefined ? { kind: 'digest', digest } : { kind: 'tag', tag },
          tags: named,
          precondition: unconditional,
          bytes,
          contentType: mediaType,
        });
        return put.outcome;
      }
      case 'head manifest':
        return await this.#head(at(repositories, action.repo), {
          kind: 'digest',
          digest: at(manifests, action.manifest).digest,
        });
      case 'head tag':
        return await this.#head(at(repositories, action.repo), { kind: 'tag', tag: at(tags, action.tag) });
      case 'pull': {
        const { digest } = at(manifests, action.manifest);
        const found = await getManifest(registry, at(repositories, action.repo), { kind: 'digest', digest });
        if (action.isWritten) await registry.pulls.flush();
        return found?.digest ?? 'unknown';
      }
      case 'delete manifest': {
        const { digest } = at(manifests, action.manifest);
        return (await deleteManifest(registry, at(repositories, action.repo), digest, unconditional)).outcome;
      }
      case 'delete tag':
        return (await removeTag(registry, at(repositories, action.repo), at(tags, action.tag), unconditional)).outcome;
      case 'collect':
        await this.#world.collectSome(action.reviews);
        return 'collected';
      case 'let time pass':
        this.#world.clock.advance(action.ms);
        return 'passed';
    }
  }

  async #head(repo: RepositoryName, reference: TagOrDigest): Promise<Answer> {
    return (await headManifestForPush(this.#world.registry, repo, reference))?.digest ?? 'unknown';
  }

  /** The answer that the model expects; from then on it counts on it. */
  #judge(model: Reference, action: Action, opened: Opened): Answer {
    const now = this.#world.clock.now();
    switch (action.do) {
      case 'push blob':
        model.linkBlob(at(repositories, action.repo), at(blobs, action.blob).digest, now);
        return 'created';
      case 'open upload':
        model.uploads.delete(action.slot);
        if (opened.id !== undefined) {
          const repo = at(repositories, action.repo);
          model.uploads.set(action.slot, {
            id: opened.id,
            repo,
            openedAt: now,
            touchedAt: now,
            bytes: [],
            done: undefined,
          });
        }
        return 'opened';
      case 'send chunk': {
        const upload = model.uploads.get(action.slot);
        if (upload === undefined) return 'nothing to do';
        if (upload.done !== undefined) return 'done';
        const chunk = nextChunk(upload.bytes, at(blobs, action.blob).bytes);
        upload.bytes = [...upload.bytes, chunk];
        upload.touchedAt = now;
        return 'appended';
      }
      case 'close upload':
        return judgeClose(model, action.slot, action.blob, now);
      case 'cancel upload': {
        const upload = model.uploads.get(action.slot);
        if (upload === undefined) return 'nothing to do';
        if (upload.done !== undefined) return 'unknown';
        model.uploads.delete(action.slot);
        return 'cancelled';
      }
      case 'head blob': {
        const [repo, { digest }] = [at(repositories, action.repo), at(blobs, action.blob)];
        if (!model.seesBlob(repo, digest)) return 'unknown';
        model.promiseBlob(repo, digest, now);
        return 'found';
      }
      case 'mount': {
        const [repo, from, { digest }] = [
          at(repositories, action.repo),
          at(repositories, action.from),
          at(blobs, action.blob),
        ];
        if (!model.seesBlob(from, digest)) return 'unknown';
        model.linkBlob(repo, digest, now);
        return 'mounted';
      }
      case 'delete blob':
        return model.deleteBlob(at(repositories, action.repo), at(blobs, action.blob).digest);
      case 'put manifest': {
        const named = action.tags.map((place) => at(tags, place));
        return model.put(at(repositories, action.repo), at(manifests, action.manifest), named, now);
      }
      case 'head manifest': {
        const [repo, { digest }] = [at(repositories, action.repo), at(manifests, action.manifest)];
        if (!model.sees(repo, digest)) return 'unknown';
        model.promiseManifest(repo, digest, now);
        return digest;
      }
      case 'head tag': {
        const repo = at(repositories, action.repo);
        const target = model.target(repo, at(tags, action.tag));
        if (target === undefined) return 'unknown';
        model.promiseManifest(repo, target, now);
        return target;
      }
      case 'pull': {
        const [repo, { digest }] = [at(repositories, action.repo), at(manifests, action.manifest)];
        const isFound = model.sees(repo, digest);
        model.pulled(repo, digest, now);
        if (action.isWritten) model.pullsEnd(true);
        return isFound ? digest : 'unknown';
      }
      case 'delete manifest':
        return model.deleteManifest(at(repositories, action.repo), at(manifests, action.manifest).digest, now);
      case 'delete tag':
        return model.deleteTag(at(repositories, action.repo), at(tags, action.tag), now);
      case 'collect':
        return 'collected';
      case 'let time pass':
        return 'passed';
    }
  }

  // What has gone, and whether it might.

  async #follow(): Promise<void> {
    await this.#world.idle();
    const problems = this.#goneFrom(this.#model, this.#world.seen());
    if (problems.length > 0) throw new Broken(problems.join('; '));
  }

  /** Takes out of the model what is not there any more. @returns what should be there, or should not */
  #goneFrom(model: Reference, seen: Seen): readonly string[] {
    const problems = this.#forgetGone(model, seen);
    for (const repo of repositories) {
      const there = model.present(repo);
      for (const row of seen.manifests.filter((each) => each.repo === repo)) {
        const state = there.manifests.get(known(row.digest));
        if (state !== row.state) problems.push(`${nameOf(known(row.digest))} is ${row.state}, not ${state ?? 'gone'}`);
      }
      for (const row of seen.links.filter((each) => each.repo === repo)) {
        const isHidden = there.links.get(knownBlob(row.digest));
        if (isHidden !== (row.is_hidden === 1)) problems.push(`${row.digest} is there, or hidden, in vain`);
      }
      const tagRows = seen.tags.filter((each) => each.repo === repo);
      for (const { name, manifest } of tagRows) {
        const target = [...there.tags].find(([tag]) => tag === name)?.[1];
        if (target !== manifest) problems.push(`tag ${name} points at ${nameOf(known(manifest))}`);
      }
      for (const [tag] of there.tags) {
        if (!tagRows.some(({ name }) => name === tag)) problems.push(`tag ${tag} is lost`);
      }
    }
    return problems;
  }

  #forgetGone(model: Reference, seen: Seen): string[] {
    const now = this.#world.clock.now();
    const problems: string[] = [];
    const ids = new Set(seen.uploads.map(({ id }) => id));
    for (const [slot, upload] of model.uploads) {
      if (ids.has(upload.id)) continue;
      if (!model.mayBeForgotten(upload, now)) problems.push(`the upload in slot ${slot} is lost`);
      model.uploads.delete(slot);
    }
    for (const repo of repositories) {
      const { manifests: there, links } = model.present(repo);
      const rows = new Set(seen.manifests.filter((row) => row.repo === repo).map(({ digest }) => digest));
      const gone = new Set([...there.keys()].filter((digest) => !rows.has(digest)));
      for (const lost of model.manifestsWent(repo, gone, now)) problems.push(`${nameOf(lost)} is lost`);
      const linked = new Set(seen.links.filter((row) => row.repo === repo).map(({ digest }) => digest));
      for (const digest of links.keys()) {
        if (linked.has(digest)) continue;
        if (model.isBlobHeld(repo, digest, now)) problems.push(`blob ${digest} is lost`);
        else model.linkWent(repo, digest);
      }
    }
    return problems;
  }

  // What must be so at any time.

  async check(): Promise<void> {
    const [error] = this.#world.errors;
    if (error !== undefined) throw new Broken(`the registry has logged: ${error}`);
    await this.#checkClients();
    this.#checkQueue(this.#world.seen());
  }

  /** Everything that clients may see is there in full, and nothing else is. */
  async #checkClients(): Promise<void> {
    const { onlooker } = this.#world;
    for (const repo of repositories) {
      for (const { digest, bytes, name } of manifests) {
        const found = await getManifest(onlooker, repo, { kind: 'digest', digest });
        if ((found !== undefined) !== this.#model.sees(repo, digest)) {
          throw new Broken(`${name} is ${found === undefined ? 'not found' : 'found'} in ${repo}`);
        }
        if (found !== undefined && Buffer.compare(found.bytes, bytes) !== 0) throw new Broken(`${name} has changed`);
      }
      for (const tag of tags) {
        const found = await getManifest(onlooker, repo, { kind: 'tag', tag });
        if (found?.digest !== this.#model.target(repo, tag)) throw new Broken(`tag ${tag} leads elsewhere in ${repo}`);
      }
      for (const { digest, name } of blobs) {
        const found = await findBlob(onlooker, repo, digest);
        if ((found.outcome === 'found') !== this.#model.seesBlob(repo, digest)) {
          throw new Broken(`${name} is ${found.outcome} in ${repo}`);
        }
        if (found.outcome === 'unknown') continue;
        const bytes = await onlooker.blobs.read(found.oid).bytes();
        if (digestOf('sha256', bytes) !== digest) throw new Broken(`${name} has other bytes in ${repo}`);
      }
    }
  }

  /** Whatever nothing holds stands in the review queue, by itself or by what would hold it (I9). */
  #checkQueue({ tasks, manifests: rows, links, objects, uploads }: Seen): void {
    const now = this.#world.clock.now();
    const queued = new Set(tasks.map(({ kind, key1, key2 }) => `${kind} ${key1} ${key2}`));
    for (const repo of repositories) {
      const held = this.#model.heldManifests(repo, now);
      for (const row of rows.filter((each) => each.repo === repo)) {
        const digest = known(row.digest);
        if (held.has(digest)) continue;
        const above = this.#above(repo, digest);
        if (!above.some((each) => queued.has(`manifest ${repo} ${each}`))) {
          throw new Broken(`nothing holds ${nameOf(digest)} in ${repo}, and nothing will review it`);
        }
      }
      for (const { digest } of links.filter((each) => each.repo === repo)) {
        if (this.#model.isBlobHeld(repo, knownBlob(digest), now) || queued.has(`link ${repo} ${digest}`)) continue;
        throw new Broken(`nothing holds blob ${digest} in ${repo}, and nothing will review it`);
      }
    }
    for (const { oid, state, digest } of objects) {
      const isHeld =
        state === 'pending' ? uploads.some((each) => each.oid === oid) : links.some((each) => each.digest === digest);
      const isLive = state === 'live' || state === 'pending';
      if (!(isLive && isHeld) && !queued.has(`object ${oid} `)) {
        throw new Broken(`a ${state} object stands in no queue`);
      }
    }
    for (const { id } of uploads) {
      if (!queued.has(`upload ${id} `)) throw new Broken('an upload stands in no queue');
    }
  }

  /** A manifest and all that could hold it. */
  #above(repo: RepositoryName, digest: Digest): readonly Digest[] {
    const found = new Set([digest]);
    for (const each of found) for (const holder of this.#model.holdersOf(repo, each)) found.add(holder);
    return [...found];
  }

  /** After all due reviews, nothing is left that nothing holds, but for what is to be looked at again soon. */
  #checkAtRest({ tasks }: Seen): void {
    const now = this.#world.clock.now();
    const due = tasks.find(({ due_at }) => due_at <= now);
    if (due !== undefined) throw new Broken(`the review of a ${due.kind} is due, and is not made`);
  }

  // What must be so at the end.

  /** Lets all windows pass: what is held is there, to the byte, and nothing else. Then nothing is held, and nothing is there. */
  async end(): Promise<void> {
    await this.#letEverythingPass();
    const now = this.#world.clock.now();
    const digests = new Set<string>();
    for (const repo of repositories) {
      const held = this.#model.heldManifests(repo, now);
      const there = this.#model.present(repo);
      const left = [...there.manifests.keys()].filter((digest) => !held.has(digest));
      if (left.length > 0) throw new Broken(`${left.map(nameOf).join(', ')} should have gone from ${repo}`);
      for (const digest of there.links.keys()) {
        if (!this.#model.isBlobHeld(repo, digest, now))
          throw new Broken(`blob ${digest} should have gone from ${repo}`);
        digests.add(digest);
      }
    }
    this.#checkFiles(digests);
    const transient = this.#world.tablesInUse().filter((table) => ['upload', 'tag_trash', 'task'].includes(table));
    if (transient.length > 0) throw new Broken(`when all windows have passed, ${transient.join(', ')} should be empty`);

    for (const repo of repositories) {
      for (const tag of this.#model.present(repo).tags.keys()) {
        await this.#alone({ do: 'delete tag', repo: repositories.indexOf(repo), tag: tags.indexOf(tag) });
      }
    }
    await this.#letEverythingPass();
    const inUse = this.#world.tablesInUse();
    if (inUse.length > 0) throw new Broken(`when everything is deleted, ${inUse.join(', ')} should be empty`);
    this.#checkFiles(new Set());
  }

  async #letEverythingPass(): Promise<void> {
    await this.#world.registry.pulls.flush();
    this.#model.pullsEnd(true);
    for (let count = 0; count < windowsInARow; count++) {
      this.#world.clock.advance(longerThanAnyWindow);
      await this.#world.collect();
      await this.#follow();
    }
    await this.check();
  }

  /** One file for each digest, of its bytes. */
  #checkFiles(digests: ReadonlySet<string>): void {
    const files = this.#world.files();
    const { objects } = this.#world.seen();
    const found = new Set<string>();
    for (const [oid, bytes] of files) {
      const digest = digestOf('sha256', bytes);
      const object = objects.find((each) => each.oid === oid);
      if (object?.digest !== digest || found.has(digest)) throw new Broken(`the file ${oid} belongs to nothing`);
      found.add(digest);
    }
    const lost = [...digests].filter((digest) => !found.has(digest));
    const left = [...found].filter((digest) => !digests.has(digest));
    if (lost.length > 0) throw new Broken(`there is no file for ${lost.join(', ')}`);
    if (left.length > 0) throw new Broken(`nothing needs the files of ${left.join(', ')}`);
    if (objects.length !== files.size) throw new Broken('an object has no file');
  }
}

function judgeClose(model: Reference, slot: number, blob: number, now: number): Answer {
  const upload = model.uploads.get(slot);
  if (upload === undefined) return 'nothing to do';
  const { digest, bytes } = at(blobs, blob);
  if (upload.done !== undefined) {
    if (upload.done !== digest || !model.seesBlob(upload.repo, digest)) return 'unknown';
    model.linkBlob(upload.repo, digest, now);
    return 'created';
  }
  if (restOf(bytes, upload.bytes) === undefined) {
    model.uploads.delete(slot);
    return 'digest-mismatch';
  }
  upload.done = digest;
  upload.touchedAt = now;
  model.linkBlob(upload.repo, digest, now);
  return 'created';
}

type Bytes = Uint8Array<ArrayBuffer>;

function chunkOf(bytes: Bytes) {
  return { body: new Blob([bytes]).stream(), range: undefined, lengthBytes: bytes.byteLength };
}

/** The next bytes of a blob, where what was sent is its beginning; its first ones otherwise. */
function nextChunk(sent: readonly Bytes[], bytes: Bytes): Bytes {
  return (restOf(bytes, sent) ?? bytes).slice(0, chunkBytes);
}

/** What is missing of a blob; undefined where what was sent is not its beginning. */
function restOf(bytes: Bytes, sent: readonly Bytes[]): Bytes | undefined {
  const start = Buffer.concat(sent);
  return Buffer.compare(start, bytes.subarray(0, start.byteLength)) === 0 ? bytes.slice(start.byteLength) : undefined;
}

function at<T>(list: readonly T[], place: number): T {
  const found = list[place];
  if (found === undefined) throw new Error(`there is no place ${place} in the list`);
  return found;
}

function placeOf(digest: Digest): number {
  return manifests.findIndex((each) => each.digest === digest);
}

function known(digest: string): Digest {
  const found = manifests.find((each) => each.digest === digest);
  if (found === undefined) throw new Broken(`nobody has pushed manifest ${digest}`);
  return found.digest;
}

function knownBlob(digest: string): Digest {
  const found = blobs.find((each) => each.digest === digest);
  if (found === undefined) throw new Broken(`nobody has pushed blob ${digest}`);
  return found.digest;
}

function told(action: Action): string {
  return JSON.stringify(action);
}

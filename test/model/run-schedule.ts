import { ownPair, pairName } from '../pairs/pair.ts';
import type { RepositoryName } from '../../src/oci/names.ts';
import type { Reference as TagOrDigest } from '../../src/oci/reference.ts';
import type { Answer } from './answers.ts';
import { Broken } from './broken.ts';
import { checkClients } from './check-clients.ts';
import { checkFiles } from './check-files.ts';
import { checkLeftovers } from './check-leftovers.ts';
import { checkOperators } from './check-operators.ts';
import { boundless, checkQuotas } from './check-quotas.ts';
import { checkQueue } from './check-queue.ts';
import { checkStored } from './check-stored.ts';
import { forgetGone, goneFrom } from './follow.ts';
import { judge } from './judge.ts';
import { type Opened, perform } from './perform.ts';
import { manifestAt, placeOf, placesOf, repositoryAt } from './places.ts';
import { deletableOf } from './reference/deletable.ts';
import { heldManifests, isBlobHeld } from './reference/holds.ts';
import { pinKey } from './reference/pins.ts';
import { pullsEnd } from './reference/pulls.ts';
import { Reference } from './reference/reference.ts';
import { trashOf } from './reference/trash-listing.ts';
import type { Action, Place, Schedule, Step } from './schedule.ts';
import { blobs, type KnownManifest, manifestOf, manifests, nameOf, repositories, tags } from './universe.ts';
import { type Mutation, World } from './world.ts';

const day = 24 * 3_600_000;
/** The longest window that a schedule has, in ms. */
const longestWindowMs = 30 * day;
/** How far a hand of the clock goes that lets every window pass, in ms. */
const longerThanAnyWindow = 60 * day;
/** Each step is followed by a look at everything; where that goes to servers, one in so many. */
const checkedSteps = pairName === ownPair ? 1 : 5;
/** A chain of windows, one beginning when the other ends, is no longer than the longest chain of manifests. */
const windowsInARow = 12;

/** Runs a schedule on a registry of its own and checks it after every step. @returns how many operations it has made */
export async function runSchedule(schedule: Schedule, mutation?: Mutation): Promise<number> {
  const { windows, sparse, steps } = schedule;
  await using world = await World.open({
    windows,
    sparse,
    quotas: () => boundless,
    ...(mutation === undefined ? {} : { mutation }),
  });
  const run = new Run(world, new Reference(windows, sparse));
  for (const [index, step] of steps.entries()) {
    await run.step(step);
    if (index % checkedSteps === 0) await run.check();
  }
  await run.end();
  return run.operations;
}

type SlowPush = Extract<Step, { readonly step: 'slow push' }>;
type Retire = Extract<Step, { readonly step: 'retire' }>;

class Run {
  readonly #world: World;
  #model: Reference;
  operations = 0;

  constructor(world: World, model: Reference) {
    this.#world = world;
    this.#model = model;
  }

  get #now(): number {
    return this.#world.clock.now();
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
        pullsEnd(this.#model, true);
        break;
      case 'collect all':
        this.operations++;
        await this.#world.collect();
        await this.#follow();
        checkLeftovers(this.#model, await this.#world.seen(), this.#now);
        return;
      case 'delete': {
        const deletable = deletableOf(this.#model);
        const one = deletable[step.place % deletable.length];
        if (one === undefined) return;
        const repo = repositories.indexOf(one.repo);
        if (one.what === 'manifest') {
          await this.#alone({ do: 'delete manifest', repo, manifest: placeOf(one.digest) });
        } else {
          await this.#alone({ do: 'delete blob', repo, blob: blobs.findIndex(({ digest }) => digest === one.digest) });
        }
        return;
      }
      case 'retire':
        await this.#retire(step);
        return;
      case 'undo':
      case 'empty': {
        const inTrash = trashOf(this.#model);
        const entry = inTrash[step.place % inTrash.length];
        if (entry === undefined) return;
        const { repo, tag, manifest } = placesOf(entry);
        if (step.step === 'undo') {
          await this.#alone({ do: 'restore', repo, tag, manifest });
          return;
        }
        const named = {
          tag: step.by === 'tag' || step.by === 'both' ? tag : null,
          manifest: step.by === 'digest' || step.by === 'both' ? manifest : null,
        };
        await this.#alone({ do: 'empty trash', isTrial: false, repo, ...named });
        return;
      }
      case 'push':
        await this.#push(repositoryAt(step.repo), step.repo, manifestAt(step.manifest), step.tags);
        return;
      case 'slow push':
        await this.#pushSlowly(step);
        return;
    }
    await this.#follow();
  }

  async #alone(action: Action): Promise<void> {
    this.operations++;
    const opened: Opened = { id: undefined };
    const answer = await perform(this.#world, this.#model, action, opened);
    const expected = judge(this.#model, action, opened, this.#now);
    if (answer !== expected) {
      throw new Broken(`"${action.do}" was answered "${answer}" where it should be "${expected}": ${told(action)}`);
    }
    await this.#follow();
  }

  /** The collector may have come before the action or after it; the model has to agree with one of the two. */
  async #whileCollecting(action: Action): Promise<void> {
    this.operations += 2;
    const opened: Opened = { id: undefined };
    const { uploads } = await this.#world.seen();
    const collecting = this.#world.collect();
    const [answer] = await Promise.all([perform(this.#world, this.#model, action, opened), collecting]);
    await this.#world.idle();
    const seen = await this.#world.seen();
    // Where time has passed, the collector may have found an upload under way at the end of it that has gone since.
    for (const repo of repositories) {
      if (uploads.some((row) => row.repo === repo && row.oid !== null)) this.#model.in(repo).uploadedAt = this.#now;
    }

    const [before, unheard] = [this.#model.copy(), this.#model.copy()];
    const after = this.#model;
    const hadSession = 'slot' in action && after.uploads.has(action.slot);
    const problems: string[] = [];
    const expected = judge(after, action, opened, this.#now);
    if (answer === expected) problems.push(...goneFrom(after, seen, this.#now));
    else problems.push(`"${answer}" instead of "${expected}"`);
    if (problems.length === 0) return;

    // A pull that comes while its manifest is judged, whose time is over just now, is not heard of any more.
    if (action.do === 'pull' && answer === expected) {
      if (action.isWritten) pullsEnd(unheard, true);
      if (goneFrom(unheard, seen, this.#now).length === 0) {
        this.#model = unheard;
        return;
      }
    }

    forgetGone(before, seen, this.#now);
    const isSessionGone = hadSession && 'slot' in action && !before.uploads.has(action.slot);
    const judged = judge(before, action, opened, this.#now);
    const otherwise = isSessionGone && action.do !== 'open upload' ? 'unknown' : judged;
    if (answer === otherwise) {
      const others = goneFrom(before, seen, this.#now);
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
      answer = await perform(this.#world, this.#model, action, opened);
    })();
    await this.#world.workedOn(turns, performing);
    const answered = answer;
    await this.#world.kill(performing);
    const seen = await this.#world.seen();

    // Where it was not answered, it may have renewed a lease.
    this.#model.vagueUntil = this.#now + longestWindowMs;
    const without = this.#model.copy();
    pullsEnd(without, false);
    const problems: string[] = [];
    if (answered === undefined) {
      // The client gives the session up, since it does not know how it stands.
      if ('slot' in action) without.uploads.delete(action.slot);
      without.judgements.clear();
      problems.push(...goneFrom(without, seen, this.#now));
      if (problems.length === 0) {
        this.#model = without;
        return;
      }
    }
    const expected = judge(this.#model, action, opened, this.#now);
    if (answered !== undefined && answered !== expected) problems.push(`"${answered}" instead of "${expected}"`);
    if (answered === undefined && 'slot' in action) this.#model.uploads.delete(action.slot);
    pullsEnd(this.#model, false);
    // Pulls that it was to be judged by may be forgotten: it is judged anew.
    this.#model.judgements.clear();
    const others = goneFrom(this.#model, seen, this.#now);
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

  async #pushSlowly({ repo, manifest, tags: withTags, ms }: SlowPush): Promise<void> {
    const parts = manifestAt(manifest).blobs.map((part) => blobs.findIndex(({ digest }) => digest === part));
    const last = parts.pop();
    await this.#alone({ do: 'open upload', slot: 0, repo });
    for (const blob of parts) await this.#alone({ do: 'push blob', repo, blob });
    await this.#alone({ do: 'let time pass', ms });
    await this.step({ step: 'collect all' });
    if (last !== undefined) await this.#alone({ do: 'close upload', slot: 0, blob: last });
    await this.step({ step: 'collect all' });
    await this.#alone({ do: 'put manifest', repo, manifest, tags: withTags });
  }

  async #retire({ place, meanwhile, isForRoom, as }: Retire): Promise<void> {
    const there = [...this.#model.repositories].flatMap(([repo, { tags: its }]) =>
      [...its.keys()].map((tag) => ({ repo, tag })),
    );
    const one = there[place % there.length];
    if (one === undefined) return;
    const [repo, tag] = [repositories.indexOf(one.repo), tags.indexOf(one.tag)];
    await this.#alone({ do: 'judge tag', repo, tag });
    for (const event of meanwhile) {
      const target = this.#model.target(one.repo, one.tag);
      if (target === undefined) break;
      const manifest = placeOf(target);
      switch (event) {
        case 'time passes':
          await this.#alone({ do: 'let time pass', ms: 1 });
          break;
        case 'it is pulled':
          await this.#alone({ do: 'pull', repo, manifest, isWritten: false });
          break;
        case 'a child is pulled':
          for (const child of manifestOf(target).children) {
            await this.#alone({ do: 'pull', repo, manifest: placeOf(child), isWritten: false });
          }
          break;
        case 'it is asked for':
          await this.#alone({ do: 'head tag', repo, tag });
          break;
        case 'it is pushed again':
          await this.#alone({ do: 'put manifest', repo, manifest, tags: [tag] });
          break;
        case 'it is deleted and pushed':
          await this.#alone({ do: 'delete tag', repo, tag });
          await this.#alone({ do: 'put manifest', repo, manifest, tags: [tag] });
          break;
        case 'it is pinned':
          await this.#alone({ do: 'pin', repo, tag, manifest: null, reason: 0 });
          break;
        case 'its manifest is pinned':
          await this.#alone({ do: 'pin', repo, tag: null, manifest, reason: 0 });
      }
    }
    const retire: Action = { do: 'retire tag', repo, tag, isForRoom };
    if (as === 'alone') await this.#alone(retire);
    else if (as === 'while collecting') await this.#whileCollecting(retire);
    else await this.#killed(retire, place % 5);
  }

  // What has gone, and whether it might.

  async #follow(): Promise<void> {
    await this.#world.idle();
    const problems = goneFrom(this.#model, await this.#world.seen(), this.#now);
    if (problems.length > 0) throw new Broken(problems.join('; '));
  }

  // What must be so at any time.

  async check(): Promise<void> {
    const [error] = this.#world.errors;
    if (error !== undefined) throw new Broken(`the registry has logged: ${error}`);
    await checkClients(this.#world, this.#model);
    await checkOperators(this.#world, this.#model);
    checkQueue(this.#model, await this.#world.seen(), this.#now);
    await checkQuotas(this.#world);
    checkStored(await this.#world.seen());
  }

  // What must be so at the end.

  /** Lets all windows pass: what is held is there, to the byte, and nothing else. Then nothing is held, and nothing is there. */
  async end(): Promise<void> {
    await this.#letEverythingPass();
    const now = this.#world.clock.now();
    const digests = new Set<string>();
    for (const repo of repositories) {
      const held = heldManifests(this.#model, repo, now);
      const there = this.#model.in(repo);
      const left = [...there.manifests.keys()].filter((digest) => !held.has(digest));
      if (left.length > 0) throw new Broken(`${left.map(nameOf).join(', ')} should have gone from ${repo}`);
      for (const digest of there.links.keys()) {
        if (!isBlobHeld(this.#model, repo, digest, now))
          throw new Broken(`blob ${digest} should have gone from ${repo}`);
        digests.add(digest);
      }
    }
    await checkFiles(this.#world, digests);
    // What only a repository's pin holds is looked at again and again.
    const isAnyPinned = repositories.some((repo) => this.#model.in(repo).pins.has('repository'));
    const passing = new Set(['upload', 'tag_trash', ...(isAnyPinned ? [] : ['task'])]);
    const transient = (await this.#world.tablesInUse()).filter((table) => passing.has(table));
    if (transient.length > 0) throw new Broken(`when all windows have passed, ${transient.join(', ')} should be empty`);

    await this.#unpinAll();
    for (const repo of repositories) {
      for (const tag of this.#model.in(repo).tags.keys()) {
        await this.#alone({ do: 'delete tag', repo: repositories.indexOf(repo), tag: tags.indexOf(tag) });
      }
    }
    await this.#letEverythingPass();
    const inUse = await this.#world.tablesInUse();
    if (inUse.length > 0) throw new Broken(`when everything is deleted, ${inUse.join(', ')} should be empty`);
    await checkFiles(this.#world, new Set());
  }

  async #unpinAll(): Promise<void> {
    for (const [place, repo] of repositories.entries()) {
      const isPinned = (reference: TagOrDigest | undefined) => this.#model.in(repo).pins.has(pinKey(reference));
      const unpin = (what: { tag: Place; manifest: Place }) => this.#alone({ do: 'unpin', repo: place, ...what });
      if (isPinned(undefined)) await unpin({ tag: null, manifest: null });
      for (const [tag, name] of tags.entries()) {
        if (isPinned({ kind: 'tag', tag: name })) await unpin({ tag, manifest: null });
      }
      for (const [manifest, { digest }] of manifests.entries()) {
        if (isPinned({ kind: 'digest', digest })) await unpin({ tag: null, manifest });
      }
    }
  }

  async #letEverythingPass(): Promise<void> {
    await this.#world.registry.pulls.flush();
    pullsEnd(this.#model, true);
    for (let count = 0; count < windowsInARow; count++) {
      this.#world.clock.advance(longerThanAnyWindow);
      await this.#world.collect();
      await this.#follow();
    }
    await this.check();
  }
}

function told(action: Action): string {
  return JSON.stringify(action);
}

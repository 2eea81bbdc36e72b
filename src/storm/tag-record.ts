import type { StormManifest } from './content.ts';

/** A manifest that a tag may lead to. */
export interface Target {
  readonly manifest: StormManifest;
  /** The step at which its push began: what was deleted before is no excuse for anything that it lacks. */
  readonly since: number;
}

/** What a tag may be found to be: more than one state is possible after an answer that was lost. */
export type TagState = Target | 'absent';

/** What a tag may have been since somebody has begun to look. */
export interface Watch extends Disposable {
  readonly states: readonly TagState[];
}

/** A change of a tag that has been sent; one of these is called when its outcome is known to be that, or unknown. */
export interface Attempt {
  acknowledged(): void;
  refused(): void;
  unanswered(): void;
}

/** What a tag needs to know of the ledger that it stands in. */
export interface Steps {
  /** Begins a new step: the storm's own time. */
  next(): number;
  /** Whether a delete of a digest that may have been carried out went on at a step or after it. */
  wasDeletedSince(repository: string, digest: string, step: number): boolean;
}

/** A tag that only one worker moves, so that it is known where it leads. */
export class TagRecord {
  readonly repository: string;
  readonly name: string;
  readonly #steps: Steps;
  readonly #watches = new Set<TagState[]>();
  #states: readonly TagState[] = ['absent'];
  #held: { readonly digest: string; readonly since: number } | undefined;
  /** The last step at which its worker has begun or ended to change it. */
  changedAt = 0;
  isChanging = false;

  constructor(steps: Steps, repository: string, name: string) {
    this.#steps = steps;
    this.repository = repository;
    this.name = name;
  }

  get states(): readonly TagState[] {
    return this.#states;
  }

  /** Where it leads without a doubt; undefined where that may be nowhere, or in doubt. */
  get certain(): Target | undefined {
    return onlyTarget(this.#states);
  }

  /** Whether it has led to a manifest without a doubt ever since a step. */
  hasHeldSince(step: number, digest: string): boolean {
    return this.#held?.digest === digest && this.#held.since <= step;
  }

  watch(): Watch {
    const states = [...this.#states];
    this.#watches.add(states);
    return { states, [Symbol.dispose]: () => void this.#watches.delete(states) };
  }

  /** Its worker is about to change it. */
  attempt(state: TagState): Attempt {
    const begunAt = this.#steps.next();
    this.changedAt = begunAt;
    this.isChanging = true;
    this.allow(state);
    return {
      acknowledged: () => {
        this.#ended();
        this.#set([state]);
        // A delete of the digest that went on meanwhile may have come after it.
        if (state === 'absent') return;
        if (this.#steps.wasDeletedSince(this.repository, state.manifest.digest, begunAt)) this.allow('absent');
      },
      refused: () => {
        this.#ended();
        if (state !== 'absent') this.rule(state);
      },
      unanswered: () => this.#ended(),
    };
  }

  /** It may be in this state from now on as well. */
  allow(state: TagState): void {
    if (!this.#states.includes(state)) this.#set([...this.#states, state]);
  }

  /** It is not in this state any more. */
  rule(out: TagState): void {
    const left = this.#states.filter((each) => each !== out);
    this.#set(left.length === 0 ? ['absent'] : left);
  }

  #ended(): void {
    this.isChanging = false;
    this.changedAt = this.#steps.next();
  }

  #set(states: readonly TagState[]): void {
    this.#states = states;
    for (const seen of this.#watches) for (const state of states) if (!seen.includes(state)) seen.push(state);
    const digest = onlyTarget(states)?.manifest.digest;
    if (digest === undefined) this.#held = undefined;
    else if (this.#held?.digest !== digest) this.#held = { digest, since: this.#steps.next() };
  }
}

/** The manifest that all of the states lead to, as it was pushed first; undefined where they do not. */
export function onlyTarget(states: readonly TagState[]): Target | undefined {
  const [first] = states;
  if (first === undefined || first === 'absent') return undefined;
  const areAlike = states.every((each) => each !== 'absent' && each.manifest.digest === first.manifest.digest);
  return areAlike ? first : undefined;
}

/** A longer one is a mistake; the bound keeps what one match can cost small. */
const longestGlob = 512;

export type GlobResult = { readonly ok: true; readonly glob: Glob } | { readonly ok: false; readonly problem: string };

/** One step of a glob; a text is matched when the steps can be gone through from the first to the last. */
type Step =
  | { readonly kind: 'character'; readonly character: string }
  /** One character, but no slash. */
  | { readonly kind: 'any' }
  /** Any number of characters, but no slash. */
  | { readonly kind: 'run' }
  /** Any number of characters, slashes too. */
  | { readonly kind: 'deepRun' }
  /** The next two steps may be left out together. */
  | { readonly kind: 'optionalPair' };

const slash: Step = { kind: 'character', character: '/' };
const any: Step = { kind: 'any' };
const run: Step = { kind: 'run' };
const deepRun: Step = { kind: 'deepRun' };
const optionalPair: Step = { kind: 'optionalPair' };

/**
 * A pattern that a whole text matches or does not:
 *
 * - `*` stands for any number of characters, but not for a slash; `?` for one such character;
 * - `**` stands for any number of characters, slashes too;
 * - a component that is `**` stands for any number of components, none too: `team/**` matches `team` and `team/a/b`;
 * - everything else stands for itself, upper and lower case being different.
 *
 * Matching takes time in proportion to the length of the text times that of the glob, whatever they are.
 */
export class Glob {
  /** As it was written. */
  readonly source: string;
  readonly #steps: readonly Step[];
  readonly #isLiteral: boolean;
  /** What every text that it matches begins with. Most texts can be told by that. */
  readonly start: string;
  /** Whether it is that and one run, like most globs: `v*`. */
  readonly #isStart: boolean;

  private constructor(source: string) {
    this.source = source;
    this.#steps = stepsOf(source);
    this.#isLiteral = this.#steps.every(({ kind }) => kind === 'character');
    this.start = startOf(this.#steps);
    this.#isStart = this.#steps.length === this.start.length + 1 && this.#steps.at(-1)?.kind === 'run';
  }

  static parse(source: string): GlobResult {
    if (source === '') return { ok: false, problem: 'this is empty' };
    if (source.length > longestGlob) return { ok: false, problem: `this is longer than ${longestGlob} characters` };
    return { ok: true, glob: new Glob(source) };
  }

  matches(text: string): boolean {
    if (this.#isLiteral) return text === this.source;
    if (!text.startsWith(this.start)) return false;
    if (this.#isStart) return !text.includes('/', this.start.length);
    return canPass(this.#steps, text.length, (step, index) => takesCharacter(step, text[index] ?? ''));
  }

  /**
   * Whether this matches all that another glob matches. Where it says so it is true; that it is not said does not mean
   * that there is a text that only the other one matches.
   */
  covers(other: Glob): boolean {
    const forms = formsOf(other.#steps);
    return (
      forms?.every((form) => canPass(this.#steps, form.length, (step, index) => takesStep(step, form[index] ?? any))) ??
      false
    );
  }
}

function stepsOf(source: string): readonly Step[] {
  const components = source.split('/').filter((component, index, all) => component !== '**' || all[index - 1] !== '**');
  if (components.length === 1 && components[0] === '**') return [deepRun];
  const steps: Step[] = [];
  for (const [index, component] of components.entries()) {
    const isLast = index === components.length - 1;
    if (component === '**') {
      steps.push(...(isLast ? [optionalPair, slash, deepRun] : [optionalPair, deepRun, slash]));
      continue;
    }
    for (let at = 0; at < component.length; at += 1) {
      const character = component[at] ?? '';
      if (character === '?') {
        steps.push(any);
      } else if (character !== '*') {
        steps.push({ kind: 'character', character });
      } else if (component[at + 1] === '*') {
        steps.push(deepRun);
        at += 1;
      } else {
        steps.push(run);
      }
    }
    // A last `**` brings its slash along, because that may be left out too.
    const isBeforeLastRun = index === components.length - 2 && components[index + 1] === '**';
    if (!isLast && !isBeforeLastRun) steps.push(slash);
  }
  return steps;
}

function startOf(steps: readonly Step[]): string {
  let start = '';
  for (const step of steps) {
    if (step.kind !== 'character') break;
    start += step.character;
  }
  return start;
}

/** Goes through the steps in all ways at once, so that no text makes it go back and try again. */
function canPass(steps: readonly Step[], length: number, takes: (step: Step, index: number) => boolean): boolean {
  const end = steps.length;
  let here = new Uint8Array(end + 1);
  let next = new Uint8Array(end + 1);
  here[0] = 1;
  for (let index = 0; index < length; index += 1) {
    passFreely(steps, here);
    let isAnywhere = false;
    next.fill(0);
    for (let place = 0; place < end; place += 1) {
      const step = steps[place];
      if (here[place] !== 1 || step === undefined || !takes(step, index)) continue;
      next[isRun(step) ? place : place + 1] = 1;
      isAnywhere = true;
    }
    if (!isAnywhere) return false;
    [here, next] = [next, here];
  }
  passFreely(steps, here);
  return here[end] === 1;
}

/** Marks the places that can be reached without taking anything. They all lie further on, so one pass is enough. */
function passFreely(steps: readonly Step[], here: Uint8Array): void {
  for (const [place, step] of steps.entries()) {
    if (here[place] !== 1) continue;
    if (isRun(step)) here[place + 1] = 1;
    if (step.kind === 'optionalPair') here[place + 1] = here[place + 3] = 1;
  }
}

function isRun(step: Step): boolean {
  return step.kind === 'run' || step.kind === 'deepRun';
}

function takesCharacter(step: Step, character: string): boolean {
  switch (step.kind) {
    case 'character':
      return step.character === character;
    case 'any':
    case 'run':
      return character !== '/';
    case 'deepRun':
      return true;
    case 'optionalPair':
      return false;
  }
}

/** Whether a step takes whatever a step of another glob may stand for. Of a run, only a run takes all. */
function takesStep(step: Step, other: Step): boolean {
  switch (other.kind) {
    case 'character':
      return takesCharacter(step, other.character);
    case 'any':
      return step.kind === 'any' || isRun(step);
    case 'run':
      return isRun(step);
    case 'deepRun':
      return step.kind === 'deepRun';
    case 'optionalPair':
      return false;
  }
}

/** The steps with each optional pair there and not there; undefined where those are too many to look at. */
function formsOf(steps: readonly Step[]): readonly (readonly Step[])[] | undefined {
  const at = steps.findIndex(({ kind }) => kind === 'optionalPair');
  if (at === -1) return [steps];
  const rest = formsOf(steps.slice(at + 1));
  if (rest === undefined || rest.length > 16) return undefined;
  const before = steps.slice(0, at);
  const pair = steps.slice(at + 1, at + 3);
  // The pair holds no optional pair, so it begins each form of the rest.
  return rest.flatMap((form) => [
    [...before, ...form],
    [...before, ...form.slice(pair.length)],
  ]);
}

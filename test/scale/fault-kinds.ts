import type { SeededRandom } from '../../src/storm/seeded-random.ts';
import { type Inject, type Injected, operationOf, type S3Request } from './injecting-proxy.ts';

/** How long the registry tries a request, in ms. */
const tryMs = 30_000;
/** How many requests meet an error that lasts. */
const worseFor = 40;

/** How many completions lose their answer at least: that to the first may be that the upload is gone. */
const lostCompletions = 5;

/** Everything that goes wrong between a registry and its bucket. */
export type FaultKind =
  | '500'
  | '503 SlowDown'
  | '503 SlowDown for long'
  | 'timeout'
  | 'slow'
  | 'cut in the middle of a part'
  | 'cut in the middle of a request'
  | 'cut in the middle of an answer'
  | 'answer lost'
  | 'answer lost, 500 instead'
  | 'answer to a completed upload lost'
  | 'arrives after its 503';

/** What comes at the first request that it fits, so that no run is without it. */
const certain: readonly FaultKind[] = [
  'timeout',
  'cut in the middle of a part',
  'answer to a completed upload lost',
  '500',
  '503 SlowDown',
  '503 SlowDown for long',
  'cut in the middle of an answer',
  'arrives after its 503',
];

/** What one request in ten meets. */
const usual: readonly FaultKind[] = [
  '500',
  '503 SlowDown',
  'answer lost, 500 instead',
  'answer lost',
  'cut in the middle of a request',
  'cut in the middle of an answer',
  'slow',
];

/**
 * Decides what goes wrong with which request, and counts it.
 * @param lateMs how long a request may be on its way after its sender has given it up
 */
export class Faults {
  readonly counts = new Map<FaultKind, number>();
  /** How many more requests meet the error that lasts. */
  #worseFor = 0;
  readonly #due = new Set(certain);
  readonly #random: SeededRandom;
  readonly #lateMs: number;

  constructor(random: SeededRandom, lateMs: number) {
    this.#random = random;
    this.#lateMs = lateMs;
  }

  readonly inject: Inject = (request) => {
    // Longer than a call is tried, so that some do fail.
    const isWorse = this.#worseFor > 0;
    const kind = isWorse ? '503 SlowDown for long' : this.#kindFor(request);
    if (kind === undefined) return undefined;
    if (isWorse) this.#worseFor--;
    else if (kind === '503 SlowDown for long') this.#worseFor = worseFor;
    const times = (this.counts.get(kind) ?? 0) + 1;
    this.counts.set(kind, times);
    if (kind !== 'answer to a completed upload lost' || times >= lostCompletions) this.#due.delete(kind);
    return this.#injected(kind, request);
  };

  /** Those that have not come though they must. */
  get missing(): readonly FaultKind[] {
    return [...this.#due];
  }

  get text(): string {
    return [...this.counts].map(([kind, times]) => `${times} × ${kind}`).join(', ');
  }

  #kindFor(request: S3Request): FaultKind | undefined {
    const due = [...this.#due].find((kind) => fits(kind, request));
    if (due !== undefined) return due;
    const random = this.#random;
    if (random.chance(0.002)) return '503 SlowDown for long';
    if (random.chance(0.0005)) return 'timeout';
    if (mayComeLate(request) && random.chance(0.02)) return 'arrives after its 503';
    if (!random.chance(0.1)) return undefined;
    return more(random.pick(usual), operationOf(request));
  }

  #injected(kind: FaultKind, request: S3Request): Injected {
    const random = this.#random;
    const slowDown = { status: 503, code: 'SlowDown' };
    switch (kind) {
      case '500':
        return { do: 'answer', status: 500, code: 'InternalError' };
      case '503 SlowDown':
        return { do: 'answer', ...slowDown };
      case '503 SlowDown for long':
        return { do: 'answer', ...slowDown };
      case 'timeout':
        // Longer than one try of a call may take.
        return { do: mayComeLate(request) ? 'hold' : 'lose-request', until: Bun.sleep(tryMs + 2000) };
      case 'slow':
        return { do: 'hold', until: Bun.sleep(random.between(100, 2000)) };
      case 'cut in the middle of a part':
      case 'cut in the middle of a request':
        return { do: 'cut-request' };
      case 'cut in the middle of an answer':
        return { do: 'cut-body', afterBytes: random.between(0, 2000) };
      case 'answer lost':
      case 'answer to a completed upload lost':
        return { do: 'cut' };
      case 'answer lost, 500 instead':
        return { do: 'lose-answer', status: 500, code: 'InternalError' };
      case 'arrives after its 503':
        return { do: 'deliver-late', ...slowDown, until: Bun.sleep(random.between(100, this.#lateMs)) };
    }
  }
}

/** What it is called where it happens to a request that it is told of by itself. */
function more(kind: FaultKind | undefined, operation: string): FaultKind | undefined {
  if (kind === 'answer lost' && operation === 'CompleteMultipartUpload') return 'answer to a completed upload lost';
  if (kind === 'cut in the middle of a request' && operation === 'UploadPart') return 'cut in the middle of a part';
  return kind;
}

/** Whether something that must come may come to a request. */
function fits(kind: FaultKind, request: S3Request): boolean {
  const operation = operationOf(request);
  if (kind === 'cut in the middle of a part') return operation === 'UploadPart';
  if (kind === 'answer to a completed upload lost') return operation === 'CompleteMultipartUpload';
  // Its client waits that long for nothing else.
  if (kind === 'timeout') return operation === 'PutObject' && mayComeLate(request);
  if (kind === 'cut in the middle of an answer') return operation === 'GetObject';
  return kind !== 'arrives after its 503' || mayComeLate(request);
}

/**
 * Whether a request may arrive after its sender has given it up. A piece of an upload and the beginning of one would stay
 * beside the object if that lives by then, and go with it.
 */
function mayComeLate(request: S3Request): boolean {
  const operation = operationOf(request);
  return operation !== 'CreateMultipartUpload' && !(operation === 'PutObject' && request.key.includes('.tail-'));
}

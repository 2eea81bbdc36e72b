import type { Reported } from '../../fsck/finding.ts';
import type { Progress } from './lines.ts';

/** What to check, and what to do about it. */
export interface CheckRequest {
  /** Takes leaks away. */
  readonly repair: boolean;
  /** Reads every blob; a damaged one stays where it is if this is a trial. */
  readonly rehash:
    { readonly bytesPerSecond: number; readonly from: string | undefined; readonly isTrial: boolean } | undefined;
}

/** What a check tells: what it finds as it finds it, and now and then how far it has come. */
export type CheckNews = { readonly finding: Reported } | { readonly progress: Progress };

/** A check under way. */
export interface RunningCheck {
  /** @throws CheckEndedError where it could not look, or was ended */
  readonly news: AsyncGenerator<CheckNews, void, undefined>;
  /** Breaks it off. */
  end(): void;
}

/** Checks the data directory of a running server, which goes on meanwhile. */
export interface Checks {
  /** Begins a check; undefined where one is under way. */
  begin(request: CheckRequest): RunningCheck | undefined;
}

/** Why a check did not get to its end, in words for the operator. */
export class CheckEndedError extends Error {
  override readonly name = 'CheckEndedError';
}

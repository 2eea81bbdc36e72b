import type { Digest } from '../../oci/digest.ts';

const dayMs = 86_400_000;
/** Contents after which others may have their turn. */
const contentsAtOnce = 2000;

/** The worlds in which a content is held: as it was, and as it would be. */
export const asItWas = 0;
export const asItWouldBe = 1;
export type Which = typeof asItWas | typeof asItWouldBe;

/** When the repositories begin and cease to hold a content, in each world. */
export class HeldContent {
  readonly sizeBytes: number;
  /** Four times the time in ms, and 2 for the world as it would be, and 1 for ceasing. */
  readonly changes: number[] = [];

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  change(at: number, which: Which, isHeld: boolean): void {
    this.changes.push(at * 4 + which * 2 + (isHeld ? 0 : 1));
  }
}

/** What a day comes to, for all repositories. */
export interface DayFigures {
  /** Days since 1970, in UTC. */
  readonly day: number;
  /** What is freed on that day that would else have stayed. */
  readonly freedBytes: number;
  readonly freedBlobs: number;
  /** What is held at its end, and what would be. */
  readonly heldBytes: number;
  readonly wouldHoldBytes: number;
}

/**
 * When which repository holds which content. Repositories are gone through one after the other, but a content is freed
 * only where none of them holds it: so the times are collected by content, and put together at the end. It takes some
 * 300 bytes of memory for each content.
 */
export class HeldContents {
  readonly #contents = new Map<Digest, HeldContent>();

  /** Where the size is not the same everywhere, the first counts. */
  of(digest: Digest, sizeBytes: number): HeldContent {
    let content = this.#contents.get(digest);
    if (content === undefined) {
      content = new HeldContent(sizeBytes);
      this.#contents.set(digest, content);
    }
    return content;
  }

  /**
   * The figures of each day from one time to another. What was held at the first must have been told as from then. Yields
   * now and then, so that others have their turn.
   */
  *days(since: number, now: number): Generator<undefined, readonly DayFigures[], undefined> {
    const firstDay = Math.floor(since / dayMs);
    const count = Math.floor(now / dayMs) - firstDay + 1;
    const [freed, blobs, held, wouldHold] = [0, 0, 0, 0].map(() => new Float64Array(count));
    if (freed === undefined || blobs === undefined || held === undefined || wouldHold === undefined) return [];
    let done = 0;
    for (const { sizeBytes, changes } of this.#contents.values()) {
      done += 1;
      if (done % contentsAtOnce === 0) yield;
      // Those of one repository are in order, those of several are not.
      changes.sort((one, other) => one - other);
      const holders = [0, 0];
      let isFreed = false;
      for (let index = 0; index < changes.length;) {
        const at = Math.floor((changes[index] ?? 0) / 4);
        const [before, wouldBefore] = [isAbove(holders[asItWas]), isAbove(holders[asItWouldBe])];
        for (; index < changes.length && Math.floor((changes[index] ?? 0) / 4) === at; index += 1) {
          const code = (changes[index] ?? 0) % 4;
          const which = code >= 2 ? asItWouldBe : asItWas;
          holders[which] = (holders[which] ?? 0) + (code % 2 === 0 ? 1 : -1);
        }
        const [after, wouldAfter] = [isAbove(holders[asItWas]), isAbove(holders[asItWouldBe])];
        const place = Math.floor(at / dayMs) - firstDay;
        held[place] = (held[place] ?? 0) + (after - before) * sizeBytes;
        wouldHold[place] = (wouldHold[place] ?? 0) + (wouldAfter - wouldBefore) * sizeBytes;
        const wasFreed = isFreed;
        isFreed = after === 1 && wouldAfter === 0;
        if (!isFreed || wasFreed) continue;
        freed[place] = (freed[place] ?? 0) + sizeBytes;
        blobs[place] = (blobs[place] ?? 0) + 1;
      }
    }
    let [heldBytes, wouldHoldBytes] = [0, 0];
    return Array.from({ length: count }, (_, place) => {
      heldBytes += held[place] ?? 0;
      wouldHoldBytes += wouldHold[place] ?? 0;
      return {
        day: firstDay + place,
        freedBytes: freed[place] ?? 0,
        freedBlobs: blobs[place] ?? 0,
        heldBytes,
        wouldHoldBytes,
      };
    });
  }
}

function isAbove(holders: number | undefined): 0 | 1 {
  return (holders ?? 0) > 0 ? 1 : 0;
}

import { z } from 'zod';
import { FindingCounts } from '../../fsck/finding-counts.ts';
import { findingCodes, type Reported } from '../../fsck/finding.ts';
import { errors, errorsOf } from '../errors.ts';
import { CheckEndedError, type RunningCheck } from './checks.ts';
import { linesEndpoint, nothing } from './endpoint.ts';
import { progress, withPauses } from './lines.ts';

/** How much is read in a second where it is not said. */
const defaultBytesPerSecond = 100 * 1024 * 1024;

const count = z.number().int();

const finding = z.object({
  code: z.enum(findingCodes),
  severity: z.enum(['loss', 'leak', 'note']),
  about: z.string(),
  message: z.string(),
  advice: z.string(),
  /** The images that cannot be pulled because of it. */
  breaks: z.array(z.string()).optional(),
  isRepairable: z.boolean(),
  isRepaired: z.boolean(),
});

const line = z.union([
  z.object({ progress }),
  z.object({ finding }),
  /** The last line of a check that came to its end. */
  z.object({ counts: z.object({ loss: count, leak: count, note: count, repaired: count }) }),
  errors,
]);

type Line = z.input<typeof line>;

export const checkEverything = linesEndpoint({
  method: 'POST',
  path: '/fsck',
  action: 'admin',
  refusals: [409],
  summary:
    'Checks the database and the blobs against each other while the server goes on. Answers in lines: what it finds, how far it has come, and at the end the counts.',
  query: nothing,
  body: z.strictObject({
    /** Takes leaks away. */
    repair: z.boolean().default(false),
    /** Only says what it would do. */
    dryRun: z.boolean().default(false),
    rehash: z
      .strictObject({
        bytesPerSecond: z.number().int().min(1).default(defaultBytesPerSecond),
        /** The object after which it begins, empty for all; where the last one was broken off, if it is not given. */
        from: z
          .string()
          .regex(/^(?:[0-9a-f]{32})?$/)
          .optional(),
      })
      .optional(),
  }),
  line,
  handle({ admin }, { body: { repair, dryRun, rehash } }) {
    if (admin.checks === undefined) {
      return {
        problem: { code: 'UNSUPPORTED', status: 409, message: 'no server runs on the data directory: use wherry fsck' },
      };
    }
    const check = admin.checks.begin({
      repair: repair && !dryRun,
      rehash: rehash && { bytesPerSecond: rehash.bytesPerSecond, from: rehash.from, isTrial: dryRun },
    });
    if (check !== undefined) return { lines: linesOf(check) };
    const message = 'a check is under way: wait until it has ended, or end the command that has begun it';
    return { problem: { code: 'DENIED', status: 409, message } };
  },
});

/** The check ends with whoever listens. */
async function* linesOf(check: RunningCheck): AsyncGenerator<Line, void, undefined> {
  const counting = new FindingCounts();
  let latest: z.output<typeof progress> = { name: 'things', done: 0 };
  try {
    for (;;) {
      for await (const next of withPauses(check.news.next())) {
        if (next === undefined) yield { progress: latest };
        else if (next.done === true) return yield { counts: counting.counts };
        else if ('progress' in next.value) {
          latest = next.value.progress;
          yield { progress: latest };
        } else {
          counting.add(next.value.finding);
          yield { finding: shownFinding(next.value.finding) };
        }
      }
    }
  } catch (error) {
    if (!(error instanceof CheckEndedError)) throw error;
    yield errorsOf({ code: 'UNAVAILABLE', message: error.message });
  } finally {
    check.end();
  }
}

/** A finding as whoever asked is told of it. */
export function shownFinding(found: Reported): z.output<typeof finding> {
  const { code, severity, about, message, advice, breaks, isRepairable, isRepaired } = found;
  const told = { code, severity, about, message, advice, isRepairable, isRepaired };
  return breaks === undefined ? told : { ...told, breaks: [...breaks] };
}

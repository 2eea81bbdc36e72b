import { z } from 'zod';
import { machineFailureOf } from '../../registry/failures.ts';
import { answer, type Call } from '../call.ts';
import { errorsOf, type Problem } from '../errors.ts';
import { logFailure, problemOf } from '../failure-answers.ts';

/** Of answers that come line by line, each a JSON text. */
export const linesMediaType = 'application/x-ndjson';

/** How often it is told how far something has come, in ms. It also keeps the connection from being idle. */
const tellEveryMs = 250;

/**
 * How far something long has come: what is being looked at, such as `objects`, how many have been, and of how many where
 * that is known.
 */
export const progress = z.object({ name: z.string(), done: z.number(), total: z.number().optional() });

export type Progress = z.output<typeof progress>;

/** Answers with lines as they come. Whoever goes away before the end ends what makes them. */
export function answerInLines(call: Call, lines: AsyncGenerator<unknown, void, undefined>): Response {
  // A line comes at least every `tellEveryMs`, and none is made before the last one is on its way.
  call.allowSlowAnswer();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await nextOf(call, lines);
      if (next.line !== undefined) controller.enqueue(encoder.encode(`${JSON.stringify(next.line)}\n`));
      if (next.isLast) controller.close();
    },
    async cancel() {
      await lines.return();
    },
  });
  const headers = { 'content-type': linesMediaType, 'cache-control': 'no-store' };
  return answer(call, 200, headers, body);
}

async function nextOf(
  { requestId, registry }: Call,
  lines: AsyncGenerator<unknown, void, undefined>,
): Promise<{ readonly line: unknown; readonly isLast: boolean }> {
  try {
    const { done, value } = await lines.next();
    return { line: value, isLast: done === true };
  } catch (error) {
    // The answer has begun with 200, so the last line has to tell.
    const failed = machineFailureOf(error);
    logFailure(requestId, failed, error, registry.log);
    return { line: errorsOf(problemOf(failed)), isLast: true };
  }
}

/** Tells now and then how far something has come, and in the end what has become of it: `answer`, or `errors`. */
export async function* untilAnswered(
  run: (
    onProgress: (progress: Progress) => void,
  ) => Promise<{ readonly answer: unknown } | { readonly problem: Problem }>,
): AsyncGenerator<unknown, void, undefined> {
  let latest: Progress = { name: 'things', done: 0 };
  const running = run((told) => {
    latest = told;
  });
  // Where nobody waits for it any more, nobody has to hear of its failure.
  running.catch(() => undefined);
  for await (const outcome of withPauses(running)) {
    if (outcome === undefined) yield { progress: latest };
    else if ('problem' in outcome) yield errorsOf(outcome.problem);
    else yield { answer: outcome.answer };
  }
}

/** What a promise comes to; undefined again and again until then. */
export async function* withPauses<T>(promise: Promise<T>): AsyncGenerator<T | undefined, void, undefined> {
  for (;;) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const pause = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, tellEveryMs, undefined);
    });
    const settled = promise.then((value) => ({ value }));
    try {
      const next = await Promise.race([settled, pause]);
      yield next?.value;
      if (next !== undefined) return;
    } finally {
      clearTimeout(timer);
    }
  }
}

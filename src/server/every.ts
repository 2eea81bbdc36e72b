/** Has something done again and again, so many ms apart, until it is disposed of. A test does so itself. */
export type Every = (ms: number, run: () => Promise<void>) => Disposable;

/** By a timer that keeps no process from ending. */
export const everyByTimer: Every = (ms, run) => {
  const timer = setInterval(() => void run(), ms);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
};

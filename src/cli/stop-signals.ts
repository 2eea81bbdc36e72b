/**
 * Resolves when the process is asked to end (SIGTERM or SIGINT). Asked once more, it ends at once: that is how an
 * operator says not to wait for running transfers.
 *
 * @param sameKeyPressMs how soon a second signal is taken for the first one. Ctrl-C reaches this process from the
 *   terminal and again from npm, which hands on what it gets.
 */
export function stopRequested(sameKeyPressMs = 500): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let firstAtMs: number | undefined;
  const receive = (signal: NodeJS.Signals, number: number): void => {
    const nowMs = performance.now();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      resolve(signal);
    } else if (nowMs - firstAtMs >= sameKeyPressMs) {
      process.exit(128 + number);
    }
  };
  process.on('SIGTERM', receive);
  process.on('SIGINT', receive);
  return promise;
}

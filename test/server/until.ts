const betweenLooksMs = 2;

/**
 * Waits for something that another process or a socket does in its own time.
 *
 * @throws after 10 s, or as long as it is given, naming `what`
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  giveUpAfterMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + giveUpAfterMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${giveUpAfterMs} ms: ${what}`);
    await Bun.sleep(betweenLooksMs);
  }
}

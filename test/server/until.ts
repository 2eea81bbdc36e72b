const leastBetweenLooksMs = 2;

/**
 * Waits for something that another process or a socket does in its own time.
 *
 * @throws after 25 s, or as long as it is given, naming `what`
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  giveUpAfterMs = 25_000,
): Promise<void> {
  const deadline = performance.now() + giveUpAfterMs;
  for (;;) {
    const lookedAt = performance.now();
    if (await condition()) return;
    const endedAt = performance.now();
    if (endedAt > deadline) throw new Error(`not within ${giveUpAfterMs} ms: ${what}`);
    // A look at a database's tables keeps this process from all else, such as the server of which it looks what it does.
    await Bun.sleep(Math.max(leastBetweenLooksMs, endedAt - lookedAt));
  }
}

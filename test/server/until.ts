const giveUpAfterMs = 10_000;
const betweenLooksMs = 2;

/** Waits for something that another process or a socket does in its own time. @throws after 10 s, naming `what` */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + giveUpAfterMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${giveUpAfterMs} ms: ${what}`);
    await Bun.sleep(betweenLooksMs);
  }
}

import { expect, test } from 'bun:test';
import path from 'node:path';

const signalsFile = path.join(import.meta.dir, 'stop-signals.ts');

/** A process that ends with 7 when its input does, however often it has been asked to stop. */
function stubborn(sameKeyPressMs: number) {
  const script = `
    import { stopRequested } from ${JSON.stringify(signalsFile)};
    stopRequested(${sameKeyPressMs}).then((signal) => console.log(signal));
    process.on('SIGUSR2', () => console.log('SIGUSR2'));
    process.stdin.on('data', () => undefined).on('end', () => process.exit(7));
    console.log('ready');`;
  const child = Bun.spawn([process.execPath, '-e', script], { stdin: 'pipe', stdout: 'pipe' });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let said = '';
  const says = async (word: string): Promise<void> => {
    while (!said.includes(word)) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`it ended without saying ${word}`);
      said += decoder.decode(value);
    }
  };
  return { child, says };
}

test.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('a second %s ends the process at once, with exit code %d', async (signal, code) => {
  const { child, says } = stubborn(0);
  await says('ready');
  child.kill(signal);
  await says(signal);
  child.kill(signal);
  expect(await child.exited).toBe(code);
});

test('a signal that comes twice for one key press lets the process drain', async () => {
  const { child, says } = stubborn(60_000);
  await says('ready');
  child.kill('SIGINT');
  await says('SIGINT');
  child.kill('SIGINT');
  // Of two signals that wait, the one with the lower number comes first: this one has been seen, so has that one.
  child.kill('SIGUSR2');
  await says('SIGUSR2');
  await child.stdin.end();
  expect(await child.exited).toBe(7);
});

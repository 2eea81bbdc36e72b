// Runs another program in the place of this one, as far as the one who started this one can tell.
import { spawn } from 'node:child_process';

const forwardedSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'];

/**
 * Runs a program to its end, handing on the signals that ask this process to end, so that it never outlives this one
 * because somebody stopped the wrong one of the two.
 *
 * @param {readonly string[]} command
 * @param {import('node:child_process').SpawnOptions & { onOutput?: (chunk: Buffer) => void }} options with `onOutput`
 *   what the program prints goes there, and otherwise where this process prints
 * @returns {Promise<{ code: number | null, signal: NodeJS.Signals | null }>} how it ended
 * @throws if it cannot be started
 */
export async function runToEnd([program, ...args], { onOutput, ...options } = {}) {
  const output = onOutput === undefined ? 'inherit' : 'pipe';
  const child = spawn(program, args, { stdio: ['inherit', output, output], ...options });
  if (onOutput !== undefined) for (const stream of [child.stdout, child.stderr]) stream.on('data', onOutput);

  const forward = (signal) => {
    // A terminal sends Ctrl-C to both; to a server, a second one may mean "at once".
    if (signal === 'SIGINT' && process.stdin.isTTY) return;
    child.kill(signal);
  };
  for (const signal of forwardedSignals) process.on(signal, forward);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
  } finally {
    for (const signal of forwardedSignals) process.off(signal, forward);
  }
}

/**
 * Ends this process as another one ended: with its exit code, or by the same signal.
 *
 * @param {{ code: number | null, signal: NodeJS.Signals | null }} end
 */
export function endLike({ code, signal }) {
  if (signal !== null) process.kill(process.pid, signal);
  process.exitCode = code ?? 1;
}

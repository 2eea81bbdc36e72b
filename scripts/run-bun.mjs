import { endLike, runToEnd } from './child-process.mjs';
import { ensureSetUp, giveUp } from './setup.mjs';

/** Neither `.env` nor packages from anywhere: where the caller happens to stand must not change what runs. */
const bunOptions = ['--no-env-file', '--no-install'];

/**
 * Sets up and becomes Bun: where Node can, this process is replaced, and otherwise it stays, hands signals on and ends
 * as Bun ends.
 *
 * @param {readonly string[]} args a script and its arguments
 * @param {{ endWithParent: boolean }} options whether Bun ends when the process that started this one dies. That is
 *   right under npm, which stays for as long as its script runs, and wrong where a shell starts a daemon and goes.
 */
export async function becomeBun(args, { endWithParent }) {
  const bun = await ensureSetUp().catch(giveUp);
  if (typeof process.execve === 'function') {
    process.execve(bun, [bun, ...(endWithParent ? ['--no-orphans'] : []), ...bunOptions, ...args], process.env);
  }
  if (endWithParent) endWhenOrphaned();
  // This process is Bun's parent now, so Bun ends with it in any case.
  endLike(await runToEnd([bun, '--no-orphans', ...bunOptions, ...args]));
}

function endWhenOrphaned() {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, 250);
  timer.unref();
}

import type { Config } from '../config/schema.ts';
import { flagOf } from '../config/flags.ts';
import type { Log } from '../log/log.ts';
import { ownProgram } from '../own-program.ts';
import { takeDataDirectory } from '../stores/data-directory.ts';
import { Supervisor, type WorkerProcess } from '../workers/supervisor.ts';
import { exitCodes } from './exit-codes.ts';
import type { ConfigFlags } from './setting-flags.ts';

export interface SuperviseParts {
  readonly config: Config;
  readonly flags: ConfigFlags;
  readonly log: Log;
  /** Whether anything is read again, or opened anew, on SIGHUP, which ends the process otherwise. */
  readonly isReadAgain: boolean;
  /** Resolves when it is to end. */
  readonly stop: Promise<NodeJS.Signals>;
  readonly announce: (url: string) => void;
}

/**
 * Runs the registry in several processes, until it is asked to end.
 * @returns the exit code
 * @throws StartupError where the operator has to mend something first
 */
export async function supervise({ config, flags, log, isReadAgain, stop, announce }: SuperviseParts): Promise<number> {
  using _lock = config.metadata.kind === 'sqlite' ? takeDataDirectory(config.data) : undefined;
  const supervisor = new Supervisor({
    count: config.workers,
    start: (_, receive) => startWorker(flags, receive),
    log,
    drainMs: config.http.drainMs,
  });
  const started = await Promise.race([supervisor.start(), stop.then(() => undefined)]);
  if (started !== undefined && 'endedWith' in started) {
    // It has said why.
    return typeof started.endedWith === 'number' && started.endedWith !== 0 ? started.endedWith : exitCodes.failure;
  }
  if (started !== undefined) {
    if (isReadAgain) process.on('SIGHUP', () => supervisor.signal('SIGHUP'));
    announce(started.url);
  }
  const signal = await stop;
  log.info({ signal, drainMs: config.http.drainMs }, 'stopping: running transfers may finish');
  await supervisor.stop();
  log.info({}, 'stopped');
  return exitCodes.success;
}

/** `wherry worker`, with the flags of this command. */
function startWorker({ configFile, values }: ConfigFlags, receive: (message: unknown) => void): WorkerProcess {
  const child = Bun.spawn(
    [
      ...ownProgram(),
      'worker',
      ...(configFile === undefined ? [] : [`--config=${configFile}`]),
      ...[...values].map(([name, value]) => `${flagOf(name)}=${value}`),
    ],
    { stdin: 'ignore', stdout: 'inherit', stderr: 'inherit', ipc: receive, serialization: 'advanced' },
  );
  return {
    pid: child.pid,
    ended: child.exited.then((code) => child.signalCode ?? code),
    send(message) {
      // Who has just died is told nothing any more.
      if (child.exitCode === null && child.signalCode === null) child.send(message);
    },
    kill: (signal) => child.kill(signal),
  };
}

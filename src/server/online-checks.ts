import type { Repair } from '../fsck/finding.ts';
import type { Places } from '../fsck/fsck.ts';
import { lookLine, type LookLine } from '../fsck/look-lines.ts';
import type { LookRequest } from '../fsck/look-request.ts';
import { RepairRound } from '../fsck/repair-round.ts';
import {
  CheckEndedError,
  type CheckNews,
  type CheckRequest,
  type Checks,
  type RunningCheck,
} from '../http/admin/checks.ts';
import { jsonLines } from '../json-lines.ts';
import { ownProgram } from '../own-program.ts';
import type { Clock } from '../registry/clock.ts';

/** How much of what a process has said in its end is told. */
const toldCharacters = 1000;

interface Parts {
  readonly places: Places;
  readonly clock: Clock;
  /** Makes a repair in the registry that runs; says whether it has. */
  readonly make: (repair: Repair) => Promise<boolean>;
}

/**
 * Checks the registry of this server. A process of its own looks (`wherry fsck --look-for-server`), so that neither
 * SQLite's check of a large table nor the reading of all blobs holds up a request; what it finds is repaired here, where
 * the registry's own transactions can be used.
 */
export class OnlineChecks implements Checks {
  readonly #parts: Parts;
  #running: Bun.Subprocess | undefined;
  #isStopped = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  begin({ repair, rehash }: CheckRequest): RunningCheck | undefined {
    if (this.#running !== undefined || this.#isStopped) return undefined;
    const { places, clock, make } = this.#parts;
    const request: LookRequest = { ...places, now: clock.now(), rehash };
    const child = Bun.spawn([...ownProgram(), 'fsck', '--look-for-server'], {
      stdin: Buffer.from(`${JSON.stringify(request)}\n`),
      stdout: 'pipe',
      stderr: 'pipe',
      // The credentials of a bucket are there, if anywhere.
      env: process.env,
      onExit: () => {
        this.#running = undefined;
      },
    });
    this.#running = child;
    return {
      news: newsOf(linesOf(child), repair ? make : async () => false),
      end: () => child.kill('SIGKILL'),
    };
  }

  /** Breaks off the check that is under way, and begins none any more; resolves once none is. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#running?.kill('SIGKILL');
    await this.#running?.exited;
  }
}

type Told = Exclude<LookLine, { cannotCheck: string }>;

/** What the process tells, as it tells it. @throws CheckEndedError where it does not come to its end */
async function* linesOf(child: Bun.Subprocess<Buffer, 'pipe', 'pipe'>): AsyncGenerator<Told, void, undefined> {
  for await (const json of jsonLines(child.stdout)) {
    const line = lookLine.parse(json);
    if ('cannotCheck' in line) throw new CheckEndedError(line.cannotCheck);
    yield line;
  }
  const [code, said] = await Promise.all([child.exited, child.stderr.text()]);
  if (child.signalCode !== null) throw new CheckEndedError('the check was broken off');
  if (code !== 0) throw new Error(`the process that checks has ended with ${code}: ${said.slice(-toldCharacters)}`);
}

async function* newsOf(
  lines: AsyncGenerator<Told, void, undefined>,
  make: (repair: Repair) => Promise<boolean>,
): AsyncGenerator<CheckNews, void, undefined> {
  const round = new RepairRound(make);
  for await (const line of lines) yield 'finding' in line ? { finding: await round.report(line.finding) } : line;
}

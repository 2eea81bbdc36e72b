import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fsck } from '../../src/fsck/fsck.ts';
import { createLog } from '../../src/log/log.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { runStorm } from '../../src/storm/storm.ts';
import { configFrom } from '../server/config-from.ts';
import { freePort } from '../server/free-port.ts';
import { ForgetfulDisk, type Moment } from './forgetful-disk.ts';

const seconds = Number(process.env['POWER_SECONDS'] ?? 15);
const seed = Number(process.env['POWER_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
/** How long the power stays on at least, in ms. */
const onMs = { least: 50, most: 500 };
const moments = ['now', 'a push is acknowledged', 'a delete is acknowledged', 'a file is removed'] as const;

/** Everything that windows are for happens all the time, so that bytes go while others come. */
const squeezed = {
  'windows.lease': '2s',
  'windows.neverTagged': '2s',
  'windows.trash': '100ms',
  'windows.condemned': '0',
  'windows.upload': '2s',
  'http.drain': '0',
  'log.level': 'error',
};

/** A registry on a disk that forgets, and that is started again on what is left of it. */
class PoweredRegistry implements AsyncDisposable {
  readonly origin: string;
  /** What fsck has found of what was left. */
  readonly findings: string[] = [];
  readonly #port: number;
  readonly #root = mkdtempSync(join(tmpdir(), 'wherry-power-'));
  readonly #random: SeededRandom;
  #life = 0;
  #disk: ForgetfulDisk | undefined;
  #server: RunningServer | undefined;

  constructor(port: number, random: SeededRandom) {
    this.#port = port;
    this.#random = random;
    this.origin = `http://127.0.0.1:${port}`;
  }

  get directory(): string {
    return join(this.#root, String(this.#life));
  }

  /** How often the power was cut. */
  get cuts(): number {
    return this.#life;
  }

  async start(): Promise<void> {
    const { directory } = this;
    this.#disk = new ForgetfulDisk(directory, this.#random);
    const config = await configFrom({ ...squeezed, data: directory, listen: `127.0.0.1:${this.#port}` });
    const log = await createLog({ level: 'error', format: 'json', stream: { write: () => true } });
    this.#server = await startServer({ config, log, syncs: this.#disk.syncs });
  }

  /**
   * Cuts the power now, or in a moment that comes; has what is left checked, and starts again.
   *
   * @param over resolves when no such moment will come any more
   */
  async cutPower(when: Moment | 'now', over: Promise<unknown>): Promise<void> {
    const [disk, server, before] = [this.#disk, this.#server, this.directory];
    if (disk === undefined || server === undefined) throw new Error('the registry does not run');
    const cut = (): void => {
      this.#life++;
      disk.cut(this.directory);
    };
    if (when === 'now') cut();
    else await Promise.race([disk.at(when, cut), over]);
    if (this.directory === before) return;
    await server.stop();
    rmSync(before, { recursive: true });
    await this.check();
    await this.start();
  }

  async check(): Promise<void> {
    const rehash = { bytesPerSecond: 1e9, from: '' };
    for await (const { severity, code, about, message } of fsck({ dataDirectory: this.directory, rehash })) {
      this.findings.push(`${this.#life}: ${severity} ${code} ${about}: ${message}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop();
    rmSync(this.#root, { recursive: true });
  }
}

test(
  'the power is cut again and again, and what was not synced is lost or torn: nothing acknowledged is, and what was lost costs nothing but files without an owner',
  async () => {
    console.log(`power cuts: seed ${seed} (POWER_SEED), ${seconds} s (POWER_SECONDS)`);
    const random = new SeededRandom(seed);
    await using registry = new PoweredRegistry(freePort(), random.fork());
    await registry.start();
    const storm = runStorm({
      doors: [{ origin: registry.origin, authorization: undefined }],
      durationMs: seconds * 1000,
      clients: 6,
      process: 0,
      seed,
      repositories: 3,
      digests: 60,
      largeBlobs: 0,
      leaseMs: 1000,
      allowDown: true,
      failFast: false,
      deleteTags: false,
    });
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
      const pauseMs = random.between(onMs.least, onMs.most);
      if (performance.now() + pauseMs > deadline) break;
      await Bun.sleep(pauseMs);
      await registry.cutPower(random.pick(moments) ?? 'now', storm);
    }
    const { lost, wrong, counts } = await storm;
    console.log(
      `${registry.cuts} cuts, ${counts.pushesAcknowledged} pushes acknowledged, ${counts.imagesVerified} images pulled in the end`,
    );
    expect(lost).toEqual([]);
    expect(wrong).toEqual([]);
    expect(registry.findings).toEqual([]);
    expect(registry.cuts).toBeGreaterThan(3);
    expect(counts.pushesAcknowledged).toBeGreaterThan(seconds);
    expect(counts.imagesVerified).toBeGreaterThan(0);
  },
  seconds * 3000 + 60_000,
);

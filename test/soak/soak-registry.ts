import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { serverIn } from '../../src/server/admin-access.ts';
import { explain } from '../../src/http/admin/explain.ts';
import { retentionStatus } from '../../src/http/admin/retention-control.ts';
import { storageStatus } from '../../src/http/admin/status.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import type { SoakDisk } from './soak-disk.ts';

const tagList = z.object({ tags: z.array(z.string()) });

export interface SoakSettings {
  readonly name: string;
  /** Where the log and the configuration file go. */
  readonly logs: string;
  readonly settings: Readonly<Record<string, string>>;
  /** What is in the configuration file. */
  readonly policies?: string;
}

/** A registry as it is built and shipped, in a process of its own, with its data on a disk. */
export class SoakRegistry implements AsyncDisposable {
  readonly origin: string;
  readonly #executable: string;
  readonly #disk: SoakDisk;
  readonly #data: string;
  readonly #server: ServerProcess;
  readonly #logFile: string;
  /** What was answered with 500 or more. */
  readonly serverErrors: string[] = [];

  private constructor(parts: { executable: string; disk: SoakDisk; data: string; server: ServerProcess; log: string }) {
    this.#executable = parts.executable;
    this.#disk = parts.disk;
    this.#data = parts.data;
    this.#server = parts.server;
    this.#logFile = parts.log;
    this.origin = parts.server.origin;
  }

  static async start(
    executable: string,
    disk: SoakDisk,
    { name, logs, settings, policies }: SoakSettings,
  ): Promise<SoakRegistry> {
    const port = freePort();
    const data = join(disk.directory, name);
    const config = join(logs, `${name}.yaml`);
    await Bun.write(config, policies ?? '');
    const flags = Object.entries({ config, listen: `127.0.0.1:${port}`, data, 'log-format': 'json', ...settings });
    const command = [...disk.entering, executable, 'serve', ...flags.flatMap(([flag, value]) => [`--${flag}`, value])];
    const [program = executable, ...args] = command;
    const log = join(logs, `${name}.log`);
    const server = await ServerProcess.start(port, log, { command: [program, ...args] });
    return new SoakRegistry({ executable, disk, data: name, server, log });
  }

  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const answer = await fetch(new URL(path, this.origin), init);
    if (answer.status >= 500) this.serverErrors.push(`${init.method ?? 'GET'} ${path} ${answer.status}`);
    return answer;
  }

  async admin(method: string, path: string, body?: object): Promise<Response> {
    const token = serverIn(this.#disk.path(this.#data))?.token ?? '';
    return await this.send(`/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  async status() {
    return storageStatus.answer.parse(await (await this.admin('GET', '/status')).json());
  }

  async retention() {
    return retentionStatus.answer.parse(await (await this.admin('GET', '/retention')).json());
  }

  async tags(repo: string): Promise<readonly string[]> {
    return tagList.parse(await (await this.send(`/v2/${repo}/tags/list`)).json()).tags;
  }

  /** Why a tag was removed; undefined where nothing is known of it. */
  async whyRemoved(repo: string, tag: string): Promise<string | undefined> {
    const answer = await this.admin('GET', `/explain?target=${encodeURIComponent(`${repo}:${tag}`)}`);
    const { events } = explain.answer.parse(await answer.json());
    return events.find(({ kind }) => kind === 'tag.pruned')?.reason;
  }

  /** How many files of blobs there are. */
  get objectFiles(): number {
    const entries = readdirSync(join(this.#disk.path(this.#data), 'objects'), {
      recursive: true,
      withFileTypes: true,
    });
    return entries.filter((entry) => entry.isFile()).length;
  }

  /** @returns what `wherry fsck` has printed; undefined where it found nothing wrong */
  async fsck(): Promise<string | undefined> {
    const data = join(this.#disk.directory, this.#data);
    const child = Bun.spawn([...this.#disk.entering, this.#executable, 'fsck', '--data', data], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return code === 0 ? undefined : out + err;
  }

  /** Lines of the log that are errors. */
  async loggedErrors(): Promise<readonly string[]> {
    const log = await readFile(this.#logFile, 'utf8');
    return log.split('\n').filter((line) => /"level":"(error|fatal)"/.test(line));
  }

  async stop(): Promise<number> {
    return await this.#server.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

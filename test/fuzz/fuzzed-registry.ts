import { expect } from 'bun:test';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { basic, passwordLines, passwordOf } from '../access/guarded-registry.ts';
import { type PushedImage, pushImage, pushIndex } from '../admin/pushed-images.ts';
import { digestOf, ociManifest } from '../http/content.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';

/** Who has to log in, and what else it goes by. */
const rules = `
access:
  - { who: { users: alice }, repositories: team/**, actions: [pull, push, delete, tag-overwrite, restore] }
  - { who: { robots: ci }, repositories: team/**, actions: [pull, push] }
  - { who: anonymous, repositories: public/**, actions: pull }
`;
const policies = `
policies:
  - name: builds
    repositories: team/**
    default: prune
    rules:
      - { name: releases, action: keep, tags: v* }
      - { name: newest, action: keep, mostRecentlyPushedCount: 20 }
quotas:
  - { name: team, repositories: team/**, bytes: { soft: 80GB, hard: 100GB }, tags: { hard: 100000 } }
immutable:
  - { name: releases, repositories: team/fixed, tags: v* }
`;

/** A registry in a process of its own that holds something of each kind, for whatever is thrown at it. */
export class FuzzedRegistry implements AsyncDisposable {
  readonly repo = 'team/app';
  readonly directory: string;
  readonly port: number;
  readonly #server: ServerProcess;
  readonly #isGuarded: boolean;
  #kept: PushedImage | undefined;

  private constructor(directory: string, port: number, server: ServerProcess, isGuarded: boolean) {
    this.directory = directory;
    this.port = port;
    this.#server = server;
    this.#isGuarded = isGuarded;
  }

  /** @param isGuarded whether anybody has to log in for what is no admin's */
  static async start({ isGuarded }: { readonly isGuarded: boolean }): Promise<FuzzedRegistry> {
    const directory = await mkdtemp(join(tmpdir(), 'wherry-fuzzed-'));
    await writeFile(join(directory, 'wherry.yaml'), isGuarded ? rules + policies : policies);
    await writeFile(join(directory, 'htpasswd'), await passwordLines(['alice']));
    const port = freePort();
    const server = await ServerProcess.start(port, join(directory, 'log'), {
      command: [
        process.execPath,
        'src/main.ts',
        'serve',
        '--config',
        join(directory, 'wherry.yaml'),
        '--listen',
        `127.0.0.1:${port}`,
        '--data',
        join(directory, 'data'),
        '--http-idle-timeout',
        '2s',
        '--log-level',
        'error',
        '--log-format',
        'json',
        ...(isGuarded ? ['--auth-htpasswd', join(directory, 'htpasswd')] : []),
      ],
    });
    const registry = new FuzzedRegistry(directory, port, server, isGuarded);
    try {
      await registry.#fill();
      return registry;
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
  }

  get origin(): string {
    return this.#server.origin;
  }

  /** What lets a request in. */
  get login(): string {
    return basic('alice', passwordOf('alice'));
  }

  async adminToken(): Promise<string> {
    return (await readFile(join(this.directory, 'data', 'admin.token'), 'utf8')).trim();
  }

  /** What stays, whatever is sent. */
  get image(): PushedImage {
    if (this.#kept === undefined) throw new Error('nothing has been pushed yet');
    return this.#kept;
  }

  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#isGuarded) headers.set('authorization', this.login);
    return await fetch(`${this.origin}${path}`, { ...init, headers });
  }

  async admin(method: string, path: string, body?: object): Promise<Response> {
    const headers = { authorization: `Bearer ${await this.adminToken()}` };
    return await fetch(`${this.origin}/admin/v1${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  async pushBlob(repo: string, bytes: Uint8Array): Promise<string> {
    const digest = digestOf(bytes);
    const answer = await this.send(`/v2/${repo}/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes });
    expect(answer.status).toBe(201);
    return digest;
  }

  async putManifest(
    repo: string,
    reference: string,
    manifest: object | string,
    contentType = ociManifest,
  ): Promise<Response> {
    return await this.send(`/v2/${repo}/manifests/${reference}`, {
      method: 'PUT',
      headers: { 'content-type': contentType },
      body: typeof manifest === 'string' ? manifest : JSON.stringify(manifest),
    });
  }

  /** What the server has logged as its own failure. */
  async failures(): Promise<string[]> {
    const log = await readFile(join(this.directory, 'log'), 'utf8');
    return log.split('\n').filter((line) => line !== '');
  }

  /** That an image can be pushed and pulled, that what was there is there, and that the checker finds nothing wrong. */
  async expectWorking(): Promise<void> {
    for (const image of [this.image, await pushImage(this, this.repo, { tags: ['afterwards'] })]) {
      const pulled = await this.send(`/v2/${this.repo}/manifests/${image.digest}`);
      expect(await pulled.text()).toBe(image.manifest);
      for (const blob of image.blobs) {
        const answer = await this.send(`/v2/${this.repo}/blobs/${blob}`);
        expect(digestOf(await answer.bytes())).toBe(blob);
      }
    }
    const checked = await this.admin('POST', '/fsck', {});
    const lines = (await checked.text()).trim().split('\n');
    expect(lines.filter((line) => line.includes('"finding"'))).toEqual([]);
    expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ counts: { loss: 0, leak: 0, note: 0, repaired: 0 } });
  }

  async #fill(): Promise<void> {
    const image = await pushImage(this, this.repo, { tags: ['v1', 'latest'] });
    await pushImage(this, this.repo, { tags: ['signature'], subject: image });
    await pushIndex(this, this.repo, ['index'], image);
    await pushImage(this, 'team/fixed', { tags: ['v1'] });
    for (const tag of ['one', 'two', 'three']) {
      const gone = await pushImage(this, 'team/gone', { tags: [tag] });
      const answer = await this.send(`/v2/team/gone/manifests/${gone.digest}`, { method: 'DELETE' });
      expect(answer.status).toBe(202);
    }
    const leaked = await pushImage(this, 'team/leaked', { tags: ['leaked'] });
    await this.#done('POST', '/purge', { digests: leaked.blobs.slice(1), reason: 'a secret' });
    await this.#done('POST', '/pins', { target: `${this.repo}:v1`, reason: 'in production' });
    await this.#done('POST', '/robots', { name: 'ci' });
    await this.#done('POST', '/robots', { name: 'revoked' });
    await this.#done('DELETE', '/robots?name=revoked');
    this.#kept = image;
  }

  async #done(method: string, path: string, body?: object): Promise<void> {
    const answer = await this.admin(method, path, body);
    expect(`${answer.status} ${answer.ok ? '' : await answer.text()}`).toBe('200 ');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true });
  }
}

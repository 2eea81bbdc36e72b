import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CountedMetadata, type Work } from '../../bench/collect/counted-metadata.ts';
import { parseAccessRules } from '../../src/access/parse.ts';
import type { AccessRules } from '../../src/access/rule.ts';
import type { Pusher } from '../admin/pushed-images.ts';
import { digestOf, ociManifest } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';

/** What is written under `access` and `groups` in a configuration. */
export interface Rules {
  readonly access: readonly object[];
  readonly groups?: Readonly<Record<string, readonly string[]>>;
}

/** Who sends a request: a user by name, `operator`, or nobody that is known. */
export type Sender = string | undefined;

/** That somebody was denied something is written down afterwards, whatever is there. */
function isDenialWrittenDown(parameters: object): boolean {
  return Object.values(parameters).includes('access.denied');
}

/** A registry where users log in, each with `password of NAME`, and the statements that its requests cost. */
export class GuardedRegistry implements AsyncDisposable {
  readonly registry: ServedRegistry;
  #counted: CountedMetadata | undefined;
  /** Whether something was pushed of which the registry may have had a copy. */
  #mayHaveCopies = false;

  private constructor(registry: ServedRegistry) {
    this.registry = registry;
  }

  static async start(users: readonly string[], rules: Rules, settings: Settings = {}): Promise<GuardedRegistry> {
    const registry = await ServedRegistry.start();
    const guarded = new GuardedRegistry(registry);
    await registry.stop();
    await writeFile(guarded.passwordFile, await passwordLines(users));
    registry.access = rulesOf(rules);
    registry.wrapMetadata = (metadata) => {
      guarded.#counted = new CountedMetadata(metadata, isDenialWrittenDown);
      return guarded.#counted;
    };
    await registry.resume({ 'auth.htpasswd': guarded.passwordFile, ...settings });
    return guarded;
  }

  get passwordFile(): string {
    return join(this.registry.dataDirectory, 'htpasswd');
  }

  /** Sends a request as a user, as `operator`, or as nobody. */
  async send(sender: Sender, path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (sender === 'operator') headers.set('authorization', `Bearer ${await this.#token()}`);
    else if (sender !== undefined) headers.set('authorization', basic(sender, passwordOf(sender)));
    const answer = await this.registry.send(path, { ...init, headers });
    if (answer.status === 201) this.#mayHaveCopies = true;
    return answer;
  }

  /** The same, and what it cost. */
  async cost(sender: Sender, path: string, init: RequestInit = {}): Promise<{ readonly answer: Response } & Work> {
    await this.#copiesAreGone();
    this.#counted?.take();
    const answer = await this.send(sender, path, init);
    return { answer, ...(this.#counted?.take() ?? { statements: 0, rows: 0, writes: 0 }) };
  }

  /** Copies of what is there already go in the background, in statements that would be taken for those of a request. */
  async #copiesAreGone(): Promise<void> {
    if (!this.#mayHaveCopies) return;
    await this.registry.copiesGone();
    this.#mayHaveCopies = false;
  }

  /** What pushes as somebody. */
  pusher(sender: Sender): Pusher {
    return {
      pushBlob: async (repo, bytes) => {
        const digest = digestOf(bytes);
        const path = `/v2/${repo}/blobs/uploads/?digest=${digest}`;
        const answer = await this.send(sender, path, { method: 'POST', body: bytes });
        if (answer.status !== 201)
          throw new Error(`the blob was answered with ${answer.status} ${await answer.text()}`);
        return digest;
      },
      putManifest: async (repo, reference, manifest, contentType) =>
        await this.send(sender, `/v2/${repo}/manifests/${reference}`, {
          method: 'PUT',
          headers: { 'content-type': contentType ?? ociManifest },
          body: typeof manifest === 'string' ? manifest : JSON.stringify(manifest),
        }),
    };
  }

  async #token(): Promise<string> {
    return (await Bun.file(join(this.registry.dataDirectory, 'admin.token')).text()).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
  }
}

export function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}

export function passwordOf(name: string): string {
  return `password of ${name}`;
}

/** Lines of a password file; the hashes are as cheap as they can be. */
export async function passwordLines(users: readonly string[]): Promise<string> {
  const lines = users.map(async (name) => {
    const hash = await Bun.password.hash(passwordOf(name), { algorithm: 'bcrypt', cost: 4 });
    return `${name}:${hash}\n`;
  });
  return (await Promise.all(lines)).join('');
}

export function rulesOf({ access, groups }: Rules): AccessRules {
  const parsed = parseAccessRules({ value: access }, groups === undefined ? undefined : { value: groups });
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return parsed.rules;
}

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientFailed, ClientHome } from './client-home.ts';
import { clientProgram } from './client-programs.ts';
import { canRunDaemons, ContainerDaemons } from './container-daemons.ts';
import { containerTool } from './container-tool.ts';
import { fixtureTag, imageFixtures } from './fixtures.ts';
import { WherryProcess } from './wherry-process.ts';

setDefaultTimeout(180_000);

const fixtures = imageFixtures();
const image = fixtures.small;
const password = 'reeds and rushes';

/** Somebody who may come. */
interface Account {
  readonly user: string;
  readonly secret: string;
}

/** A client program, as far as it logs in. */
interface LoginClient {
  /** Whether the login itself asks the registry whether the password is right. */
  readonly checksLogin: boolean;
  login(account: Account): Promise<unknown>;
  logout(): Promise<unknown>;
  push(reference: string): Promise<unknown>;
  pull(reference: string): Promise<unknown>;
}

/** A registry and a home for one client: who has tried wrong passwords is kept waiting, whichever client it was. */
class Scene {
  readonly directory = mkdtempSync(join(tmpdir(), 'wherry-logins-'));
  readonly home = new ClientHome(join(this.directory, 'home'));
  readonly wherry: WherryProcess;
  daemons: ContainerDaemons | undefined;

  constructor(servesTokens: 'on' | 'off') {
    const configuration = join(this.directory, 'wherry.yaml');
    const users = join(this.directory, 'htpasswd');
    const hash = Bun.password.hashSync(password, { algorithm: 'bcrypt', cost: 5 });
    writeFileSync(users, `alice:${hash}\nbob:${hash}\n`);
    writeFileSync(
      configuration,
      `
auth: { htpasswd: ${users}, tokens: { serve: "${servesTokens}" } }
access:
  - { who: { users: alice }, repositories: team/**, actions: [pull, push, tag-overwrite] }
  - { who: { users: bob }, repositories: "**", actions: [pull, push, tag-overwrite] }
  - { who: { robots: ci }, repositories: team/**, actions: [pull, push, tag-overwrite] }
  - { who: anonymous, repositories: public/**, actions: pull }
`,
    );
    this.wherry = new WherryProcess(join(this.directory, 'registry'), ['--config', configuration]);
  }

  async start(needsDaemons: boolean): Promise<void> {
    await this.wherry.start();
    if (needsDaemons) this.daemons = await ContainerDaemons.start(this.home);
    const bob = basic({ user: 'bob', secret: password });
    const source = image.root();
    for (const repo of ['secret/app', 'public/app']) await pushDirectly(this.wherry.origin, repo, bob, source.digest);
  }

  /** What there is under a tag, as somebody sees it who may see everything. */
  async statusOf(repo: string, tag: string): Promise<number> {
    const headers = { authorization: basic({ user: 'bob', secret: password }), accept: image.root().mediaType };
    return (await fetch(`${this.wherry.origin}/v2/${repo}/manifests/${tag}`, { headers })).status;
  }

  async command(...args: readonly string[]): Promise<string> {
    const command = [process.execPath, 'src/main.ts', ...args, '--data', this.wherry.dataDirectory];
    return (await this.home.run(command, { cwd: join(import.meta.dir, '..', '..') })).stdout;
  }

  async stop(): Promise<void> {
    await this.daemons?.[Symbol.asyncDispose]();
    await this.wherry.stop();
    const errors = await this.wherry.loggedErrors();
    const tail = errors.length > 0 ? await this.wherry.logTail() : '';
    await rm(this.directory, { recursive: true, force: true });
    if (errors.length > 0) throw new Error(`the registry has logged errors:\n${tail}`);
  }
}

function basic({ user, secret }: Account): string {
  return `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
}

/** Puts the image there without any client. */
async function pushDirectly(origin: string, repo: string, authorization: string, digest: string): Promise<void> {
  const headers = { authorization };
  const manifest = await image.manifest(digest);
  const parsed: unknown = JSON.parse(new TextDecoder().decode(manifest));
  const digests = JSON.stringify(parsed).match(/sha256:[0-9a-f]{64}/g) ?? [];
  for (const blob of new Set(digests)) {
    const body = Bun.file(join(image.directory, 'blobs', 'sha256', blob.slice('sha256:'.length)));
    const answer = await fetch(`${origin}/v2/${repo}/blobs/uploads/?digest=${blob}`, { method: 'POST', headers, body });
    if (answer.status !== 201) throw new Error(`a blob was answered with ${answer.status} ${await answer.text()}`);
  }
  const answer = await fetch(`${origin}/v2/${repo}/manifests/1`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': image.root().mediaType },
    body: manifest,
  });
  if (answer.status !== 201) throw new Error(`the manifest was answered with ${answer.status} ${await answer.text()}`);
}

type Make = (scene: Scene) => Promise<LoginClient>;

const clients: Readonly<Record<string, Make>> = {
  async crane({ home, wherry }) {
    const crane = await clientProgram('crane');
    const run = async (...args: readonly string[]) => await home.run([crane, ...args]);
    return {
      checksLogin: false,
      login: async ({ user, secret }) => await run('auth', 'login', wherry.host, '-u', user, '-p', secret),
      logout: async () => await run('auth', 'logout', wherry.host),
      push: async (reference) => await run('push', image.directory, reference),
      pull: async (reference) => await run('pull', '--format=oci', reference, newDirectory(home)),
    };
  },

  async skopeo({ home, wherry }) {
    const skopeo = await clientProgram('skopeo');
    const run = async (...args: readonly string[]) =>
      await home.run([skopeo, ...args], { env: { _CONTAINERS_ROOTLESS_UID: '1000' } });
    return {
      checksLogin: true,
      login: async ({ user, secret }) =>
        await run('login', '--tls-verify=false', '-u', user, '-p', secret, wherry.host),
      logout: async () => await run('logout', wherry.host),
      push: async (reference) =>
        await run('copy', '--dest-tls-verify=false', `oci:${image.directory}:${fixtureTag}`, `docker://${reference}`),
      pull: async (reference) =>
        await run('copy', '--src-tls-verify=false', `docker://${reference}`, `oci:${newDirectory(home)}:pulled`),
    };
  },

  async oras({ home, wherry }) {
    const oras = await clientProgram('oras');
    const run = async (...args: readonly string[]) => await home.run([oras, ...args]);
    return {
      checksLogin: true,
      login: async ({ user, secret }) => await run('login', '--plain-http', '-u', user, '-p', secret, wherry.host),
      logout: async () => await run('logout', wherry.host),
      push: async (reference) =>
        await run(
          'cp',
          '--no-tty',
          '--from-oci-layout',
          '--to-plain-http',
          `${image.directory}:${fixtureTag}`,
          reference,
        ),
      pull: async (reference) =>
        await run('cp', '--no-tty', '--from-plain-http', '--to-oci-layout', reference, `${newDirectory(home)}:pulled`),
    };
  },

  async regctl({ home, wherry }) {
    const regctl = await clientProgram('regctl');
    const run = async (...args: readonly string[]) => await home.run([regctl, ...args]);
    await run('registry', 'set', wherry.host, '--tls=disabled', '--skip-check');
    return {
      checksLogin: true,
      login: async ({ user, secret }) => await run('registry', 'login', wherry.host, '-u', user, '-p', secret),
      async logout() {
        await run('registry', 'logout', wherry.host);
        await run('registry', 'set', wherry.host, '--tls=disabled', '--skip-check');
      },
      push: async (reference) => await run('image', 'copy', `ocidir://${image.directory}:${fixtureTag}`, reference),
      pull: async (reference) => await run('image', 'copy', reference, `ocidir://${newDirectory(home)}:pulled`),
    };
  },

  async podman({ home, wherry }) {
    const podman = containerTool(home, await clientProgram('podman'));
    const archive = await imageArchive(home, 'docker-archive');
    return {
      checksLogin: true,
      login: async ({ user, secret }) =>
        await podman('login', '--tls-verify=false', '-u', user, '-p', secret, wherry.host),
      logout: async () => await podman('logout', wherry.host),
      async push(reference) {
        const source = await podman('pull', '--quiet', `docker-archive:${archive}`);
        await podman('push', '--quiet', '--tls-verify=false', source, reference);
      },
      pull: async (reference) => await podman('pull', '--quiet', '--tls-verify=false', reference),
    };
  },

  async buildah({ home, wherry }) {
    const buildah = containerTool(home, await clientProgram('buildah'));
    const archive = await imageArchive(home, 'docker-archive');
    return {
      checksLogin: true,
      login: async ({ user, secret }) =>
        await buildah('login', '--tls-verify=false', '-u', user, '-p', secret, wherry.host),
      logout: async () => await buildah('logout', wherry.host),
      async push(reference) {
        const source = await buildah('pull', '--quiet', `docker-archive:${archive}`);
        await buildah('push', '--quiet', '--tls-verify=false', source, `docker://${reference}`);
      },
      pull: async (reference) => await buildah('pull', '--quiet', '--tls-verify=false', reference),
    };
  },

  async helm({ home, wherry }) {
    const helm = await clientProgram('helm');
    const run = async (...args: readonly string[]) => await home.run([helm, ...args]);
    await run('create', 'boat');
    const chartOf = (reference: string) => {
      const [, repo = '', version = ''] = /^(.*):([^:/]+)$/.exec(reference) ?? [];
      return { repo, version: `${version}.0.0` };
    };
    return {
      checksLogin: true,
      login: async ({ user, secret }) =>
        await run('registry', 'login', wherry.host, '--plain-http', '-u', user, '-p', secret),
      logout: async () => await run('registry', 'logout', wherry.host),
      async push(reference) {
        const { repo, version } = chartOf(reference);
        await run('package', 'boat', `--version=${version}`);
        await run('push', join(home.directory, `boat-${version}.tgz`), `oci://${repo}`, '--plain-http');
      },
      async pull(reference) {
        const { repo, version } = chartOf(reference);
        await run(
          'pull',
          `oci://${repo}/boat`,
          `--version=${version}`,
          '--plain-http',
          `--destination=${newDirectory(home)}`,
        );
      },
    };
  },
};

/** Those that need a daemon to run. */
const daemonClients: Readonly<Record<string, Make>> = {
  async docker({ home, daemons, wherry }) {
    if (daemons === undefined) throw new Error('there are no daemons');
    const archive = await imageArchive(home, 'docker-archive');
    await daemons.docker('load', '--input', archive);
    return {
      checksLogin: true,
      login: async ({ user, secret }) => await daemons.docker('login', '-u', user, '-p', secret, wherry.host),
      logout: async () => await daemons.docker('logout', wherry.host),
      async push(reference) {
        await daemons.docker('tag', 'boat:1', reference);
        await daemons.docker('push', '--quiet', reference);
      },
      pull: async (reference) => await daemons.docker('pull', '--quiet', reference),
    };
  },

  /** It keeps no logins: each command is given the account. */
  async containerd({ home, daemons }) {
    if (daemons === undefined) throw new Error('there are no daemons');
    const archive = await imageArchive(home, 'oci-archive');
    await daemons.ctr('images', 'import', '--base-name', 'boat', '--all-platforms', archive);
    const [source = ''] = (await daemons.ctr('images', 'list', '--quiet')).split('\n');
    let account: readonly string[] = [];
    return {
      checksLogin: false,
      async login({ user, secret }) {
        account = ['--user', `${user}:${secret}`];
      },
      async logout() {
        account = [];
      },
      async push(reference) {
        await daemons.ctr('images', 'tag', '--force', source, reference);
        await daemons.ctr('images', 'push', '--plain-http', ...account, reference);
      },
      pull: async (reference) => await daemons.ctr('content', 'fetch', '--plain-http', ...account, reference),
    };
  },
};

/** The image in one file, for those who read no layouts. */
async function imageArchive(home: ClientHome, format: 'docker-archive' | 'oci-archive'): Promise<string> {
  const archive = join(newDirectory(home), 'image.tar');
  const target = `${format}:${archive}:${format === 'docker-archive' ? 'boat:1' : '1'}`;
  await home.run([await clientProgram('skopeo'), 'copy', `oci:${image.directory}:${fixtureTag}`, target]);
  return archive;
}

function newDirectory(home: ClientHome): string {
  return home.makeDirectory(`made-${crypto.randomUUID()}`);
}

const everyClient = { ...clients, ...(canRunDaemons ? daemonClients : {}) };

describe.each([
  ['tokens', 'on'],
  ['passwords', 'off'],
] as const)('by %s,', (_, servesTokens) => {
  describe.each(Object.entries(everyClient))('%s', (name, make) => {
    const scene = new Scene(servesTokens);
    const alice: Account = { user: 'alice', secret: password };
    const at = (repo: string): string => `${scene.wherry.host}/${repo}`;
    let client: LoginClient;
    beforeAll(async () => {
      await scene.start(Object.hasOwn(daemonClients, name));
      client = await make(scene);
    });
    afterAll(async () => await scene.stop());

    test('pulls what is open to everybody, and pushes nothing, before it has logged in', async () => {
      // Where it is asked for a password, docker asks for nothing without one.
      const canPull = name !== 'helm' && !(name === 'docker' && servesTokens === 'off');
      if (canPull) await client.pull(at('public/app:1'));
      expect(await refusalOf(async () => await client.push(at(`team/${name}:1`)))).toMatch(denial);
      expect(await scene.statusOf(`team/${name}`, '1')).toBe(404);
    });

    test('does not get in with a wrong password', async () => {
      const wrong = { ...alice, secret: 'wrong' };
      if (client.checksLogin) {
        expect(await refusalOf(async () => await client.login(wrong))).toMatch(denial);
      } else {
        await client.login(wrong);
        expect(await refusalOf(async () => await client.push(at(`team/${name}:1`)))).toMatch(denial);
        await client.logout();
      }
    });

    test('logs in, pushes and pulls, and gets nothing that its user may not have', async () => {
      await client.login(alice);
      await patiently(async () => await client.push(at(`team/${name}:1`)));
      await client.pull(at(`team/${name}:1`));
      expect(await refusalOf(async () => await client.pull(at('secret/app:1')))).toMatch(denial);
      expect(await refusalOf(async () => await client.push(at('public/app:2')))).toMatch(denial);
      expect(await scene.statusOf('public/app', '2')).toBe(404);
    });

    test('has nothing more to say once it has logged out', async () => {
      await client.logout();
      expect(await refusalOf(async () => await client.push(at(`team/${name}:2`)))).toMatch(denial);
    });

    test('logs in as a robot, until that is revoked', async () => {
      const made = await scene.command('robot', 'add', 'ci', '--json');
      const secret = /wherry_robot_[\w-]+/.exec(made)?.[0] ?? '';
      await client.login({ user: 'robot+ci', secret });
      await client.push(at(`team/${name}:3`));
      await client.pull(at(`team/${name}:3`));
      await scene.command('robot', 'revoke', 'ci');
      expect(await refusalOf(async () => await client.push(at(`team/${name}:4`)))).toMatch(denial);
      await client.logout();
    });
  });
});

/** The ways in which clients say that they were refused; containerd 1.6 says no more than that its sending was broken off. */
const denial =
  /unauthorized|denied|401|403|forbidden|authentication required|authorization failed|invalid username|no basic auth|credential not found|closed pipe|429/i;

/** Again as long as too many wrong passwords have come: ctr sends one several times. */
async function patiently(attempt: () => Promise<unknown>): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      const isSlowed = error instanceof ClientFailed && error.message.includes('429');
      if (!isSlowed || performance.now() - startedAt > 60_000) throw error;
      await Bun.sleep(500);
    }
  }
}

/** What a client says that is refused. */
async function refusalOf(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof ClientFailed) return error.message;
    throw error;
  }
  throw new Error('nobody was refused');
}

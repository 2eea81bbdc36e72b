import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { credentials } from './s3-server.ts';

/** What a server that gives credentials has been asked, such as `GET /path`, and which authorization came with it. */
export interface Asked {
  readonly what: string;
  readonly authorization: string | null;
}

/** Answers as a machine's or a cloud's source of credentials does, on a loopback port. */
export class CredentialServer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** When what it gives ends, from then on. */
  lifeMs = 3_600_000;
  /** Whether it gives some that the S3 server does not know. */
  isWrong = false;
  readonly #server: Bun.Server<undefined>;
  readonly #keys: TemporaryKeys;

  /** @param answer to a request, with what may be given then */
  constructor(
    keys: TemporaryKeys,
    answer: (request: Request, given: GivenCredentials) => Response | Promise<Response>,
  ) {
    this.#keys = keys;
    this.#server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async (request) => {
        const what = `${request.method} ${new URL(request.url).pathname}`;
        this.asked.push({ what, authorization: request.headers.get('authorization') });
        return await answer(request, this.#given());
      },
    });
  }

  get origin(): string {
    return this.#server.url.origin;
  }

  #given(): GivenCredentials {
    return {
      ...this.#keys,
      ...(this.isWrong && { SecretAccessKey: 'another-secret' }),
      Expiration: new Date(Date.now() + this.lifeMs).toISOString(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

/** In the words of those sources. */
export interface TemporaryKeys {
  readonly AccessKeyId: string;
  readonly SecretAccessKey: string;
  readonly Token: string;
}

export interface GivenCredentials extends TemporaryKeys {
  readonly Expiration: string;
}

/** Has MinIO make keys that it believes with their token only. */
export async function temporaryKeys(endpoint: string): Promise<TemporaryKeys> {
  const client = new STSClient({ endpoint, region: 'us-east-1', credentials });
  const role = { RoleArn: 'arn:aws:iam::123456789012:role/registry', RoleSessionName: 'registry' };
  const { Credentials: made } = await client.send(new AssumeRoleCommand(role));
  const { AccessKeyId = '', SecretAccessKey = '', SessionToken: Token = '' } = made ?? {};
  return { AccessKeyId, SecretAccessKey, Token };
}

/** The agent of a container or a pod (EKS Pod Identity). */
export function podIdentity(keys: TemporaryKeys): CredentialServer {
  return new CredentialServer(keys, (_, given) => Response.json(given));
}

/** The metadata service of an instance, by sessions only (IMDSv2). */
export function instanceIdentity(keys: TemporaryKeys): CredentialServer {
  const [session, role] = ['a-session', 'a-role'];
  const roles = '/latest/meta-data/iam/security-credentials/';
  return new CredentialServer(keys, (request, given) => {
    const { pathname } = new URL(request.url);
    if (request.method === 'PUT' && pathname === '/latest/api/token') return new Response(session);
    if (request.headers.get('x-aws-ec2-metadata-token') !== session) return new Response(null, { status: 401 });
    if (pathname === roles) return new Response(role);
    if (pathname === roles + role) return Response.json({ Code: 'Success', Type: 'AWS-HMAC', ...given });
    return new Response(null, { status: 404 });
  });
}

/** A token service that takes what a cluster or a CI says of who asks. @param token the only one that it believes */
export function tokenService(keys: TemporaryKeys, token: string): CredentialServer {
  return new CredentialServer(keys, async (request, given) => {
    const asked = new URLSearchParams(await request.text());
    const isRight = asked.get('Action') === 'AssumeRoleWithWebIdentity' && asked.get('WebIdentityToken') === token;
    if (!isRight) return new Response(null, { status: 403 });
    const { AccessKeyId, SecretAccessKey, Token, Expiration } = given;
    const body = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
      <AssumeRoleWithWebIdentityResult><Credentials>
        <AccessKeyId>${AccessKeyId}</AccessKeyId><SecretAccessKey>${SecretAccessKey}</SecretAccessKey>
        <SessionToken>${Token}</SessionToken><Expiration>${Expiration}</Expiration>
      </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
    return new Response(body, { headers: { 'content-type': 'text/xml' } });
  });
}

import { OAuth2Server } from 'oauth2-mock-server';
import type { ManualClock } from '../server/manual-clock.ts';

/** An OpenID Connect issuer on this machine, which issues whatever a test wants. */
export class LocalIssuer implements AsyncDisposable {
  readonly #server = new OAuth2Server();
  readonly #clock: ManualClock;
  #asked = 0;

  private constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  static async start(clock: ManualClock): Promise<LocalIssuer> {
    const issuer = new LocalIssuer(clock);
    await issuer.#server.issuer.keys.generate('RS256');
    await issuer.#server.start(0, '127.0.0.1');
    issuer.#server.service.on('beforeWellKnownOpenIdConfiguration', () => {
      issuer.#asked += 1;
    });
    return issuer;
  }

  get url(): string {
    return this.#server.issuer.url ?? '';
  }

  /** How often its discovery document was asked for. */
  get asked(): number {
    return this.#asked;
  }

  /** A key that signs from now on with those before it. @returns its name */
  async addKey(algorithm: string): Promise<string> {
    return (await this.#server.issuer.keys.generate(algorithm)).kid;
  }

  /** A token for five minutes from now, by the test's clock, unless its claims say otherwise. */
  async token(claims: Readonly<Record<string, unknown>>, { kid }: { readonly kid?: string } = {}): Promise<string> {
    const now = Math.floor(this.#clock.now() / 1000);
    return await this.#server.issuer.buildToken({
      kid,
      scopesOrTransform: (_, payload) => {
        Object.assign(payload, { iat: now, nbf: now, exp: now + 300, ...claims });
      },
    });
  }

  async stop(): Promise<void> {
    if (this.#server.listening) await this.#server.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

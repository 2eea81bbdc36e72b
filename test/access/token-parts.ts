import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RegistryTokens } from '../../src/credentials/tokens/registry-tokens.ts';
import { SigningKeys } from '../../src/credentials/tokens/signing-keys.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { forgetStoresBeside, openMetadata } from '../pairs/stores-beside.ts';
import { ManualClock } from '../server/manual-clock.ts';

export const minute = 60_000;
export const day = 86_400_000;

/** What issues and checks tokens, on a database of its own and with a clock that the test moves. */
export class TokenParts implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly metadata: MetadataStore;
  readonly #directory: string;

  private constructor(directory: string, metadata: MetadataStore) {
    this.#directory = directory;
    this.metadata = metadata;
  }

  static async open(): Promise<TokenParts> {
    const directory = mkdtempSync(join(tmpdir(), 'wherry-tokens-'));
    return new TokenParts(directory, await openMetadata(directory));
  }

  /** As another process of the same registry has them. */
  keys({ rotationMs = 30 * day } = {}): SigningKeys {
    const { metadata, clock } = this;
    return new SigningKeys({ metadata, clock, rotationMs, tokenLifeMs: 5 * minute });
  }

  tokens({ service = 'wherry', rotationMs = 30 * day } = {}): RegistryTokens {
    return new RegistryTokens({ keys: this.keys({ rotationMs }), clock: this.clock, service, lifeMs: 5 * minute });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.metadata.close();
    forgetStoresBeside(this.#directory);
    rmSync(this.#directory, { recursive: true });
  }
}

import type { Log } from '../log/log.ts';
import { change, first } from '../metadata/operation.ts';
import { findRobot, touchRobot } from '../metadata/queries/robots.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { RobotTable } from '../metadata/schema.ts';
import type { Clock } from '../registry/clock.ts';
import { type Account, type Accounts, credentialOf } from './account.ts';
import type { Authentication, Authenticator, Credentials } from '../access/authenticator.ts';
import type { Identity } from '../access/identity.ts';
import { isRobotUserName, parseRobotName, robotOfUserName } from './robot-name.ts';
import { stateOf } from './robots.ts';
import { isSecretOf } from './secret.ts';

/** How precise the time of a robot's last use is, in ms: it is not to cost every request a write. */
const useGrainMs = 600_000;

/**
 * Knows robots, by name and secret. Each time they are looked up in the database, which takes some microseconds: one that
 * is revoked or over is out at once.
 */
export class RobotAuthenticator implements Authenticator, Accounts {
  readonly kind = 'robot';
  readonly #metadata: MetadataStore;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor({
    metadata,
    clock,
    log,
  }: {
    readonly metadata: MetadataStore;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#metadata = metadata;
    this.#clock = clock;
    this.#log = log;
  }

  /** A secret cannot be guessed, so nobody who has the right one is kept waiting for others who try wrong ones. */
  async recall(credentials: Credentials): Promise<Identity | undefined> {
    const authentication = await this.authenticate(credentials);
    return authentication.outcome === 'known' ? authentication.identity : undefined;
  }

  async authenticate(credentials: Credentials): Promise<Authentication> {
    if (credentials.scheme !== 'basic' || !isRobotUserName(credentials.name)) return { outcome: 'not-mine' };
    const name = robotOfUserName(credentials.name);
    const row = name === undefined ? undefined : await this.#row(name);
    if (row === undefined) return { outcome: 'refused', reason: 'no such robot' };
    if (!isSecretOf(row.secret_hash, credentials.secret)) return { outcome: 'refused', reason: 'wrong robot secret' };
    const now = this.#clock.now();
    const state = stateOf(row, now);
    if (state !== 'active') return { outcome: 'refused', reason: `the robot is ${state}` };
    if (row.last_used_at === null || now - row.last_used_at >= useGrainMs) this.#recordUse(row.name, now);
    return { outcome: 'known', identity: identityOf(row) };
  }

  async find(name: string): Promise<Account | undefined> {
    const parsed = parseRobotName(name);
    const row = parsed === undefined ? undefined : await this.#row(parsed);
    if (row === undefined || stateOf(row, this.#clock.now()) !== 'active') return undefined;
    return { identity: identityOf(row), credential: credentialOf(row.secret_hash) };
  }

  async #row(name: string): Promise<RobotTable | undefined> {
    return await this.#metadata.read(() => first(findRobot, { name }));
  }

  /** Nobody waits for it, nor is refused where it cannot be written. */
  #recordUse(name: string, now: number): void {
    this.#metadata
      .writeUnsynced(() => change(touchRobot, { name, now }), { whileReadOnly: true })
      .catch((error: unknown) => {
        this.#log.debug({ err: error, robot: name }, "a robot's last use could not be written down");
      });
  }
}

function identityOf({ name }: RobotTable): Identity {
  return { kind: 'robot', name, groups: [], claims: {} };
}

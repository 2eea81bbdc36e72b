import { all, change, first, type Operation } from '../metadata/operation.ts';
import { deleteRefreshTokensOf } from '../metadata/queries/refresh-tokens.ts';
import { changeRobotSecret, findRobot, revokeRobotRow, robotsAfter, upsertRobot } from '../metadata/queries/robots.ts';
import type { RobotTable } from '../metadata/schema.ts';
import type { Actor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import type { Registry } from '../registry/registry.ts';
import type { RobotName } from './robot-name.ts';
import { robotUserName } from './robot-name.ts';
import { newSecret, secretHashOf } from './secret.ts';

/** What a robot's secret begins with. */
export const robotSecretPrefix = 'wherry_robot_';

export type RobotState = 'active' | 'expired' | 'revoked';

/** An account of a program. Times are in ms since 1970. */
export interface Robot {
  readonly name: string;
  readonly description: string;
  readonly state: RobotState;
  readonly createdAt: number;
  readonly createdBy: string;
  /** Undefined where it does not end by itself. */
  readonly expiresAt: number | undefined;
  readonly revokedAt: number | undefined;
  /** To within ten minutes; undefined for one that has never come. */
  readonly lastUsedAt: number | undefined;
}

/** What its maker is shown once, and nobody ever again. */
export interface RobotSecret {
  readonly robot: Robot;
  readonly secret: string;
}

export type RobotRefusal = { readonly outcome: 'unknown' } | { readonly outcome: 'revoked' };

type Parts = Pick<Registry, 'metadata' | 'clock'>;

/** Makes a robot, which lasts for `lifeMs`. A name can be used again once its robot is revoked or over. */
export async function addRobot(
  { metadata, clock }: Parts,
  {
    name,
    description,
    lifeMs,
    actor,
  }: {
    readonly name: RobotName;
    readonly description: string;
    readonly lifeMs: number | undefined;
    readonly actor: Actor;
  },
): Promise<({ readonly outcome: 'made' } & RobotSecret) | { readonly outcome: 'exists' }> {
  const now = clock.now();
  const secret = newSecret(robotSecretPrefix);
  const expiresAt = lifeMs === undefined ? null : now + lifeMs;
  return await metadata.write(function* add() {
    const there = yield* first(findRobot, { name });
    if (there !== undefined && stateOf(there, now) === 'active') return { outcome: 'exists' };
    const secretHash = secretHashOf(secret);
    yield* change(upsertRobot, { name, secretHash, description, now, createdBy: actor.text, expiresAt });
    yield* recordEvent({ at: now, kind: 'robot.made', actor, reason: robotUserName(name) });
    return { outcome: 'made', robot: yield* robotNow(name, now), secret };
  });
}

/** Gives a robot another secret: the one before it, and all tokens got with that, are worth nothing from now on. */
export async function rotateRobot(
  { metadata, clock }: Parts,
  { name, lifeMs, actor }: { readonly name: RobotName; readonly lifeMs: number | undefined; readonly actor: Actor },
): Promise<({ readonly outcome: 'rotated' } & RobotSecret) | RobotRefusal> {
  const now = clock.now();
  const secret = newSecret(robotSecretPrefix);
  return await metadata.write(function* rotate() {
    const there = yield* first(findRobot, { name });
    if (there === undefined) return { outcome: 'unknown' };
    if (there.revoked_at !== null) return { outcome: 'revoked' };
    const expiresAt = lifeMs === undefined ? there.expires_at : now + lifeMs;
    yield* change(changeRobotSecret, { name, secretHash: secretHashOf(secret), expiresAt });
    yield* change(deleteRefreshTokensOf, { kind: 'robot', name });
    yield* recordEvent({ at: now, kind: 'robot.rotated', actor, reason: robotUserName(name) });
    return { outcome: 'rotated', robot: yield* robotNow(name, now), secret };
  });
}

/** Lets a robot in no more, from the next request on, whatever tokens it has. Revoking it again changes nothing. */
export async function revokeRobot(
  { metadata, clock }: Parts,
  { name, actor }: { readonly name: RobotName; readonly actor: Actor },
): Promise<Robot | undefined> {
  const now = clock.now();
  return await metadata.write(
    function* revoke() {
      const there = yield* first(findRobot, { name });
      if (there === undefined) return undefined;
      if (there.revoked_at === null) {
        yield* change(revokeRobotRow, { name, now });
        yield* change(deleteRefreshTokensOf, { kind: 'robot', name });
        yield* recordEvent({ at: now, kind: 'robot.revoked', actor, reason: robotUserName(name) });
      }
      return yield* robotNow(name, now);
    },
    { fromReserve: true },
  );
}

/** The robots after one of them, by name, revoked ones too. */
export async function robotPage({ metadata, clock }: Parts, after: string, limit: number): Promise<readonly Robot[]> {
  const now = clock.now();
  const rows = await metadata.read(() => all(robotsAfter, { name: after, limit }));
  return rows.map((row) => robotOf(row, now));
}

/** How a robot stands at a time, in ms since 1970. */
export function stateOf({ revoked_at, expires_at }: RobotTable, now: number): RobotState {
  if (revoked_at !== null) return 'revoked';
  return expires_at !== null && expires_at <= now ? 'expired' : 'active';
}

function* robotNow(name: RobotName, now: number): Operation<Robot> {
  const row = yield* first(findRobot, { name });
  if (row === undefined) throw new Error(`the robot ${name} that was just changed is not there`);
  return robotOf(row, now);
}

function robotOf(row: RobotTable, now: number): Robot {
  return {
    name: row.name,
    description: row.description,
    state: stateOf(row, now),
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    lastUsedAt: row.last_used_at ?? undefined,
  };
}

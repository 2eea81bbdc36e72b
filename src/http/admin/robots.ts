import { z } from 'zod';
import { parseRobotName, type RobotName, robotNameGrammar, robotUserName } from '../../credentials/robot-name.ts';
import { addRobot, revokeRobot, type Robot, robotPage, rotateRobot } from '../../credentials/robots.ts';
import { formatDuration, parseDuration } from '../../config/duration.ts';
import { quote } from '../../oci/quote.ts';
import type { Problem } from '../errors.ts';
import { endpoint, nothing, pageLength, time, timeText } from './endpoint.ts';

const dayMs = 86_400_000;
const life = { leastMs: 1000, mostMs: 36_500 * dayMs };

const robotName = z
  .string()
  .meta({ description: 'The name of a robot', pattern: `^${robotNameGrammar}$` })
  .transform((text, context): RobotName => {
    const name = parseRobotName(text);
    if (name !== undefined) return name;
    const message = `${quote(text)} is not a robot's name: names match ${robotNameGrammar}`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

/** How long it lasts, in ms. */
const expires = z
  .string()
  .meta({ description: 'a duration such as 90d, 12h or 1h30m' })
  .transform((text, context): number => {
    const parsed = parseDuration(text);
    const range = `from ${formatDuration(life.leastMs)} to ${formatDuration(life.mostMs)}`;
    if (parsed.ok && parsed.ms >= life.leastMs && parsed.ms <= life.mostMs) return parsed.ms;
    const message = `${quote(text)} is not how long a robot can last: it takes a duration such as 90d or 12h, ${range}`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

const shownRobot = z.object({
  name: z.string(),
  user: z.string(),
  description: z.string(),
  state: z.enum(['active', 'expired', 'revoked']),
  createdAt: time,
  createdBy: z.string(),
  expiresAt: time.optional(),
  revokedAt: time.optional(),
  lastUsedAt: time.optional(),
});

const shownSecret = z.object({ robot: shownRobot, secret: z.string() });

export const listRobots = endpoint({
  method: 'GET',
  path: '/robots',
  action: 'admin',
  summary: 'The robot accounts, a page of them, revoked ones too. Their secrets are shown to nobody.',
  query: z.strictObject({ after: robotName.optional(), n: pageLength }),
  body: nothing,
  answer: z.object({ robots: z.array(shownRobot), next: z.string().optional() }),
  async handle({ registry }, { query: { after, n } }) {
    const robots = await robotPage(registry, after ?? '', n);
    const last = robots.length < n ? undefined : robots.at(-1);
    return { answer: { robots: robots.map(shown), ...(last === undefined ? {} : { next: last.name }) } };
  },
});

export const makeRobot = endpoint({
  method: 'POST',
  path: '/robots',
  action: 'admin',
  refusals: [409],
  summary: 'Makes a robot account. Its secret is in this answer, and never shown again.',
  query: nothing,
  body: z.strictObject({
    name: robotName,
    description: z.string().max(500).trim().default(''),
    expires: expires.optional(),
  }),
  answer: shownSecret,
  async handle(call, { body: { name, description, expires: lifeMs } }) {
    const outcome = await addRobot(call.registry, { name, description, lifeMs, actor: call.actor() });
    if (outcome.outcome === 'made') return { answer: { robot: shown(outcome.robot), secret: outcome.secret } };
    return {
      problem: {
        code: 'DENIED',
        status: 409,
        message: `there is a robot ${name} already: give it another secret with "wherry robot rotate ${name}", or revoke it first`,
        detail: { robot: name },
      },
    };
  },
});

export const renewRobot = endpoint({
  method: 'POST',
  path: '/robots/rotate',
  action: 'admin',
  refusals: [404, 409],
  summary: 'Gives a robot account another secret, in the place of the one that it has.',
  query: nothing,
  body: z.strictObject({ name: robotName, expires: expires.optional() }),
  answer: shownSecret,
  async handle(call, { body: { name, expires: lifeMs } }) {
    const outcome = await rotateRobot(call.registry, { name, lifeMs, actor: call.actor() });
    switch (outcome.outcome) {
      case 'rotated':
        return { answer: { robot: shown(outcome.robot), secret: outcome.secret } };
      case 'revoked':
        return {
          problem: {
            code: 'DENIED',
            status: 409,
            message: `the robot ${name} is revoked: make another with "wherry robot add ${name}"`,
            detail: { robot: name },
          },
        };
      case 'unknown':
        return { problem: unknownRobot(name) };
    }
  },
});

export const removeRobot = endpoint({
  method: 'DELETE',
  path: '/robots',
  action: 'admin',
  refusals: [404],
  summary: 'Revokes a robot account: neither its secret nor any token of it lets anybody in from now on.',
  query: z.strictObject({ name: robotName }),
  body: nothing,
  answer: shownRobot,
  async handle(call, { query: { name } }) {
    const robot = await revokeRobot(call.registry, { name, actor: call.actor() });
    return robot === undefined ? { problem: unknownRobot(name) } : { answer: shown(robot) };
  },
});

function unknownRobot(name: RobotName): Problem {
  return {
    code: 'UNSUPPORTED',
    status: 404,
    message: `there is no robot ${name}: "wherry robot list" shows those that there are`,
    detail: { robot: name },
  };
}

function shown({ name, description, state, createdAt, createdBy, ...times }: Robot): z.input<typeof shownRobot> {
  const parsed = parseRobotName(name);
  return {
    name,
    user: parsed === undefined ? name : robotUserName(parsed),
    description,
    state,
    createdAt: timeText(createdAt),
    createdBy,
    ...(times.expiresAt !== undefined && { expiresAt: timeText(times.expiresAt) }),
    ...(times.revokedAt !== undefined && { revokedAt: timeText(times.revokedAt) }),
    ...(times.lastUsedAt !== undefined && { lastUsedAt: timeText(times.lastUsedAt) }),
  };
}

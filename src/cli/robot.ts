import type { z } from 'zod';
import { listRobots, makeRobot, removeRobot, renewRobot } from '../http/admin/robots.ts';
import { adminCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { listed, pagesOf, printed, type Printed } from './printed.ts';
import { timeText } from './table.ts';

type Robot = z.output<typeof listRobots.answer>['robots'][number];
type WithSecret = z.output<typeof makeRobot.answer>;

/** `wherry robot`: the accounts of programs. */
export const defineRobot: CommandDefinition = (command, end) => {
  const add = command
    .command('add')
    .description('make a robot account, and print its secret, which is shown this once')
    .argument('<name>', 'what it is called: it logs in as robot+NAME')
    .option('--expires <duration>', 'how long it lasts, such as 90d; until it is revoked where this is left out')
    .option('--description <text>', 'what it is for');
  adminCommand(add, end, async (admin, { args: [name], flags: { expires, description } }) =>
    withSecret(await admin.ask(makeRobot, { body: { name, expires, description } })),
  );

  const list = command.command('list').description('list the robot accounts, revoked ones too');
  adminCommand(list, end, async (admin, { progress }) => {
    const pages = pagesOf(async (after) => {
      const page = await admin.ask(listRobots, { query: { after, n: '200' } });
      return { items: page.robots, next: page.next };
    });
    const titles = ['NAME', 'STATE', 'MADE (UTC)', 'EXPIRES (UTC)', 'LAST USED (UTC)', 'DESCRIPTION'];
    return listed({ name: 'robots', pages, titles, rowOf, ifEmpty: 'There are no robots.' }, progress);
  });

  const revoke = command
    .command('revoke')
    .description('let a robot in no more, whatever tokens it has')
    .argument('<name>', 'what it is called');
  adminCommand(revoke, end, async (admin, { args: [name] }) => {
    const robot = await admin.ask(removeRobot, { query: { name } });
    return printed(robot, `${robot.user} is revoked`);
  });

  const rotate = command
    .command('rotate')
    .description('give a robot another secret, and print it, which is shown this once')
    .argument('<name>', 'what it is called')
    .option('--expires <duration>', 'how long it lasts from now on; as before where this is left out');
  adminCommand(rotate, end, async (admin, { args: [name], flags: { expires } }) =>
    withSecret(await admin.ask(renewRobot, { body: { name, expires } })),
  );
};

function withSecret(made: WithSecret): Printed {
  const { robot, secret } = made;
  const until = robot.expiresAt === undefined ? 'until it is revoked' : `until ${timeText(robot.expiresAt)} (UTC)`;
  return printed(
    made,
    [`user:   ${robot.user}`, `secret: ${secret}`, `It lasts ${until}. The secret is not shown again.`].join('\n'),
  );
}

function rowOf({ name, state, createdAt, expiresAt, lastUsedAt, description }: Robot): readonly string[] {
  return [
    name,
    state,
    timeText(createdAt),
    expiresAt === undefined ? 'never' : timeText(expiresAt),
    lastUsedAt === undefined ? 'never' : timeText(lastUsedAt),
    description,
  ];
}

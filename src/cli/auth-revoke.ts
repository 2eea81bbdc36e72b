import { endLogins } from '../http/admin/logins.ts';
import { adminCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { printed } from './printed.ts';

/** `wherry auth revoke WHO`: has somebody log in anew. */
export const defineAuthRevoke: CommandDefinition = (command, end) => {
  command
    .description('end all refresh tokens of somebody, who then has to log in anew')
    .argument('<who>', 'user:NAME, user:ISSUER:NAME for a person of an issuer, or robot:NAME');
  adminCommand(command, end, async (admin, { args: [who] }) => {
    const answer = await admin.ask(endLogins, { query: { who } });
    const tokens = `${answer.ended} refresh ${answer.ended === 1 ? 'token' : 'tokens'}`;
    return printed(answer, `${answer.who} has to log in anew: ${tokens} ended`);
  });
};

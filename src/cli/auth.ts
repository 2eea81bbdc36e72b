import { defineAuthCheck } from './auth-check.ts';
import { defineAuthExplain } from './auth-explain.ts';
import { defineAuthHash } from './auth-hash.ts';
import { defineAuthRevoke } from './auth-revoke.ts';
import type { CommandDefinition } from './command-definition.ts';

/** `wherry auth`: who may do what, and passwords. */
export const defineAuth: CommandDefinition = (command, end) => {
  defineAuthExplain(command.command('explain'), end);
  defineAuthCheck(command.command('check'), end);
  defineAuthHash(command.command('hash'), end);
  defineAuthRevoke(command.command('revoke'), end);
};

import type { CommandDefinition } from './command-definition.ts';
import { defineRetentionCheck } from './retention-check.ts';
import { defineRetentionConvert } from './retention-convert.ts';
import { defineRetentionPlan } from './retention-plan.ts';

/** `wherry retention`: what operators can do about retention policies. */
export const defineRetention: CommandDefinition = (command, end) => {
  defineRetentionPlan(command.command('plan'), end);
  defineRetentionCheck(command.command('check'), end);
  defineRetentionConvert(command.command('convert'), end);
};

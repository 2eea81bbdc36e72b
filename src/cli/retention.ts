import type { CommandDefinition } from './command-definition.ts';
import { defineRetentionApply } from './retention-apply.ts';
import { defineRetentionCheck } from './retention-check.ts';
import { defineRetentionConvert } from './retention-convert.ts';
import { defineRetentionApprove, defineRetentionResume, defineRetentionStatus } from './retention-control.ts';
import { defineRetentionPlan } from './retention-plan.ts';
import { defineRetentionUpcoming } from './retention-upcoming.ts';
import { defineRetentionSimulate } from './retention-simulate.ts';

/** `wherry retention`: what operators can do about retention policies. */
export const defineRetention: CommandDefinition = (command, end) => {
  defineRetentionPlan(command.command('plan'), end);
  defineRetentionApply(command.command('apply'), end);
  defineRetentionUpcoming(command.command('upcoming'), end);
  defineRetentionStatus(command.command('status'), end);
  defineRetentionApprove(command.command('approve'), end);
  defineRetentionResume(command.command('resume'), end);
  defineRetentionSimulate(command.command('simulate'), end);
  defineRetentionCheck(command.command('check'), end);
  defineRetentionConvert(command.command('convert'), end);
};

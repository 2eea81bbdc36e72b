import type { Command } from 'commander';
import type { z } from 'zod';
import type { readOnlyStatus } from '../http/admin/read-only.ts';
import { type Given, placedCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { printed, type Printed } from './printed.ts';
import { openReadOnlySwitch, type ReadOnlySwitch } from './read-only-switch.ts';
import { timeText } from './table.ts';

type State = z.output<typeof readOnlyStatus.answer>;

/** `wherry readonly`: pulls go on, and whatever would change the registry is refused. */
export const defineReadOnly: CommandDefinition = (command, end) => {
  const status = command.command('status', { isDefault: true }).description('whether it can be changed, and why not');
  switching(status, end, (one) => one.status());

  const on = command
    .command('on')
    .description('refuse whatever would change the registry, also after a restart, until it is switched off')
    .option('--reason <text>', 'why, for whoever is refused', 'switched to read-only by an operator');
  switching(on, end, (one, { reason }) => one.on(String(reason)));

  const off = command
    .command('off')
    .description('let it be changed again')
    .option('--force', 'also where the registry has been moved elsewhere, and this is the one to go on with');
  switching(off, end, (one, { force }) => one.off(force === true));
};

function switching(
  command: Command,
  end: (exitCode: number) => void,
  does: (one: ReadOnlySwitch, flags: Given['flags']) => Promise<State>,
): void {
  placedCommand(command, end, {
    open: openReadOnlySwitch,
    run: async (one, { flags }) => told(await does(one, flags)),
  });
}

function told(state: State): Printed {
  return printed(state, textOf(state));
}

function textOf({ isReadOnly, reason, setBy, setAt, until, movedTo, notHeededBy }: State): string {
  if (!isReadOnly) return 'The registry can be changed.';
  const end = until === undefined ? '' : `\nIt ends by itself at ${timeText(until)} (UTC) unless it is renewed.`;
  const moved = movedTo === undefined ? '' : `\nIt has been moved to ${movedTo}.`;
  const unheeded =
    notHeededBy === undefined
      ? ''
      : `\nWarning: processes of an older version do not heed it, and go on changing things until they are restarted with this one: ${notHeededBy.join(', ')}.`;
  return `The registry is read-only since ${timeText(setAt ?? '')} (UTC), by ${setBy}: ${reason}${end}${moved}${unheeded}`;
}

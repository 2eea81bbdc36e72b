import type { z } from 'zod';
import { addPin, listPins, removePin } from '../http/admin/pins.ts';
import { adminCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { listed, pagesOf, printed } from './printed.ts';
import { timeText } from './table.ts';

/** `wherry pin`: keeps something from being deleted. */
export const definePin: CommandDefinition = (command, end) => {
  command
    .argument('<target>', 'REPO, REPO:TAG or REPO@DIGEST')
    .requiredOption('--reason <text>', 'why: whoever is refused reads it');
  adminCommand(command, end, async (admin, { args: [target], flags: { reason } }) => {
    const pin = await admin.ask(addPin, { body: { target, reason } });
    return printed(pin, `${pin.target} is pinned: ${pin.reason}`);
  });
};

/** `wherry unpin`: takes a pin away. */
export const defineUnpin: CommandDefinition = (command, end) => {
  command.argument('<target>', 'REPO, REPO:TAG or REPO@DIGEST');
  adminCommand(command, end, async (admin, { args: [target] }) => {
    const removed = await admin.ask(removePin, { query: { target } });
    return printed(removed, `${removed.target} is no longer pinned`);
  });
};

/** `wherry pins`: what is pinned. */
export const definePins: CommandDefinition = (command, end) => {
  adminCommand(command, end, async (admin, { progress }) => {
    const pages = pagesOf(async (after) => {
      const page = await admin.ask(listPins, { query: { after, n: '200' } });
      return { items: page.pins, next: page.next };
    });
    const titles = ['WHAT', 'SINCE (UTC)', 'BY', 'REASON'];
    return listed({ name: 'pins', pages, titles, rowOf, ifEmpty: 'Nothing is pinned.' }, progress);
  });
};

type Pin = z.output<typeof listPins.answer>['pins'][number];

function rowOf({ target, reason, pinnedBy, pinnedAt }: Pin): readonly string[] {
  return [target, timeText(pinnedAt), pinnedBy, reason];
}

import { addPin, listPins, removePin } from '../http/admin/pins.ts';
import { adminCommand, everyPage } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { tableText, timeText } from './table.ts';

/** `wherry pin`: keeps something from being deleted. */
export const definePin: CommandDefinition = (command, end) => {
  command
    .argument('<target>', 'REPO, REPO:TAG or REPO@DIGEST')
    .requiredOption('--reason <text>', 'why: whoever is refused reads it');
  adminCommand(command, end, async (admin, [target], { reason }) => {
    const pin = await admin.ask(addPin, { body: { target, reason } });
    return { json: pin, text: `${pin.target} is pinned: ${pin.reason}` };
  });
};

/** `wherry unpin`: takes a pin away. */
export const defineUnpin: CommandDefinition = (command, end) => {
  command.argument('<target>', 'REPO, REPO:TAG or REPO@DIGEST');
  adminCommand(command, end, async (admin, [target]) => {
    const removed = await admin.ask(removePin, { query: { target } });
    return { json: removed, text: `${removed.target} is no longer pinned` };
  });
};

/** `wherry pins`: what is pinned. */
export const definePins: CommandDefinition = (command, end) => {
  adminCommand(command, end, async (admin) => {
    const pins = await everyPage(async (after) => {
      const page = await admin.ask(listPins, { query: { after, n: '1000' } });
      return { items: page.pins, next: page.next };
    });
    const rows = pins.map(({ target, reason, pinnedBy, pinnedAt }) => [target, timeText(pinnedAt), pinnedBy, reason]);
    const text = rows.length === 0 ? 'Nothing is pinned.' : tableText(['WHAT', 'SINCE (UTC)', 'BY', 'REASON'], rows);
    return { json: { pins }, text };
  });
};

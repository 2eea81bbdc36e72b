// As much of curl as the examples use, for a machine that has none.
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: {
    fail: { type: 'boolean', short: 'f' },
    silent: { type: 'boolean', short: 's' },
    'show-error': { type: 'boolean', short: 'S' },
    'data-binary': { type: 'string' },
  },
  allowPositionals: true,
});
const body = values['data-binary'];
const answer = await fetch(
  positionals.join(),
  body === undefined ? {} : { method: 'POST', body: Bun.file(body.replace(/^@/, '')) },
);
if (!answer.ok) throw new Error(`answered with ${answer.status}`);
await Bun.write(Bun.stdout, await answer.bytes());

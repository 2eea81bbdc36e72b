import { BareServer } from './bare-server.ts';

// A program of its own, as a test runner takes what the runtime reports for a failure of the test. Ends with its input.
const fail = (): never => {
  throw new Error('the log is broken');
};
const server = await BareServer.start({ log: { info: fail, error: fail } });
console.log(server.origin);
await Bun.stdin.text();
await server[Symbol.asyncDispose]();
process.exit();

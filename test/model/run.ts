// npm run model -- OPERATIONS SEED: the larger worlds of the protocol in every order of its steps, and random schedules
// against the registry until they have made so many operations.
import { explore, toldOf } from './explore.ts';
import { check } from './protocol/check.ts';
import { largerWorlds } from './protocol/worlds.ts';

const [operations = '100000', seed = String(Date.now())] = process.argv.slice(2);
let failed = 0;

for (const world of largerWorlds) {
  const { states, depth, areAll, wrong } = check(world);
  console.log(`${world.name}: ${states} states, ${depth} steps deep${areAll ? '' : ', not all of them'}`);
  if (wrong === undefined && areAll) continue;
  failed++;
  if (wrong !== undefined) console.log([wrong.what, ...wrong.steps].join('\n  '));
}

const explored = await explore(Number(seed), Number(operations));
console.log(toldOf(explored));
if (explored.failure !== undefined) {
  failed++;
  console.log(JSON.stringify(explored.failure.schedule));
  console.log(explored.failure.error);
}
console.log(`${largerWorlds.length + 1 - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

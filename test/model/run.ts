// npm run model -- OPERATIONS SEED: random schedules against the registry, until they have made so many operations.
import { explore, toldOf } from './explore.ts';

const [operations = '100000', seed = String(Date.now())] = process.argv.slice(2);
const explored = await explore(Number(seed), Number(operations));
console.log(toldOf(explored));
if (explored.failure !== undefined) {
  console.log(JSON.stringify(explored.failure.schedule));
  console.log(explored.failure.error);
}
const failed = explored.failure === undefined ? 0 : 1;
console.log(`${1 - failed} passed, ${failed} failed`);
process.exitCode = failed;

export { SeededRandom } from '../../src/storm/seeded-random.ts';

import { duration, wholeNumber } from '../setting-types.ts';
import { setting } from './setting.ts';

export const postgresSettings = {
  postgresConnections: setting({
    name: 'postgres.connections',
    type: wholeNumber({ min: 2, max: 200 }),
    default: '10',
    description:
      'How many connections each process has for its transactions, at most; one more listens. What more requests ask for ' +
      'waits for one, for five seconds at most.',
  }),
  postgresStatementTimeout: setting({
    name: 'postgres.statementTimeout',
    type: duration({ minMs: 1000, maxMs: 3_600_000 }),
    default: '30s',
    description:
      'How long a statement may take before it is given up, and its request answered with 503. It bounds as well how long ' +
      'a transaction of a process that stands still keeps others waiting: twice as long.',
  }),
};

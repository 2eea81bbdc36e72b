import { choice } from '../setting-types.ts';
import { setting } from './setting.ts';

export const logSettings = {
  logLevel: setting({
    name: 'log.level',
    type: choice(['debug', 'info', 'warn', 'error']),
    default: 'info',
    description: 'The least severe messages that are logged.',
  }),
  logFormat: setting({
    name: 'log.format',
    type: choice(['auto', 'pretty', 'json']),
    default: 'auto',
    description: 'How log lines look. With auto they are pretty on a terminal and JSON everywhere else.',
  }),
  logRequests: setting({
    name: 'log.requests',
    type: choice(['all', 'changes', 'errors']),
    default: 'changes',
    description:
      'Which requests are logged. With changes these are pushes, deletes and errors; all adds the pulls, errors leaves ' +
      'nothing but errors.',
  }),
};

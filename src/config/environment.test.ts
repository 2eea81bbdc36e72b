import { expect, test } from 'bun:test';
import { readEnvironment } from './environment.ts';

test('variables of other programs and empty ones say nothing', () => {
  expect(readEnvironment({ PATH: '/bin', WHERRYX: '1', WHERRY_LISTEN: '' })).toEqual({ found: [], problems: [] });
});

test('a variable that is no setting is refused, with the one that it most likely means', () => {
  const environment = { WHERRY_WINDOWS_NEVERTAGED: '1d', WHERRY_ZZZ: '1' };
  expect(readEnvironment(environment).problems).toEqual([
    'WHERRY_WINDOWS_NEVERTAGED in the environment: this is not a setting (did you mean WHERRY_WINDOWS_NEVER_TAGGED?)',
    'WHERRY_ZZZ in the environment: this is not a setting',
  ]);
});

test('what Kubernetes sets for a Service named wherry does not keep the registry from starting', () => {
  const links = {
    WHERRY_SERVICE_HOST: '10.0.0.7',
    WHERRY_SERVICE_PORT: '5000',
    WHERRY_SERVICE_PORT_HTTP: '5000',
    WHERRY_PORT: 'tcp://10.0.0.7:5000',
    WHERRY_PORT_5000_TCP: 'tcp://10.0.0.7:5000',
    WHERRY_PORT_5000_TCP_PROTO: 'tcp',
    WHERRY_PORT_5000_TCP_PORT: '5000',
    WHERRY_PORT_5000_TCP_ADDR: '10.0.0.7',
    WHERRY_INTERNAL_SERVICE_HOST: '10.0.0.8',
  };
  expect(readEnvironment(links)).toEqual({ found: [], problems: [] });
});

import { choice, duration, hostNames, listenAddressOrNone, networks } from '../setting-types.ts';
import { day, setting } from './setting.ts';

export const httpSettings = {
  httpTrustedProxies: setting({
    name: 'http.trustedProxies',
    type: networks,
    default: 'none',
    description:
      'The reverse proxies whose X-Forwarded-* headers are believed. A header that comes from any other address is ' +
      'ignored.',
  }),
  httpHosts: setting({
    name: 'http.hosts',
    type: hostNames,
    default: 'none',
    description:
      'The names by which clients reach the registry, where nobody has to log in and it listens on loopback: requests for ' +
      'other names are refused, as a page in a browser could have its own lead here. Addresses, names without a dot and ' +
      'those that end in .localhost or .internal need not be named. With any no name is refused, but for the admin API.',
  }),
  httpLocation: setting({
    name: 'http.location',
    type: choice(['relative', 'absolute']),
    default: 'relative',
    description:
      'Whether Location headers hold a path or a whole URL. A path works behind any proxy; absolute is for clients ' +
      'that cannot follow one, and needs http.trustedProxies behind a proxy that ends TLS.',
  }),
  httpIdleTimeout: setting({
    name: 'http.idleTimeout',
    type: duration({ minMs: 1000, maxMs: 255_000, zeroMeans: 'never' }),
    default: '120s',
    description: 'How long a connection may be silent before it is closed. Parts of a second are rounded up.',
  }),
  httpDrain: setting({
    name: 'http.drain',
    type: duration({ minMs: 1, maxMs: day, zeroMeans: 'cut them off at once' }),
    default: '30s',
    description:
      'How long running transfers may go on after SIGTERM or SIGINT. New connections are refused meanwhile. Keep it ' +
      'below the time after which your supervisor kills the process.',
  }),
  httpPlainListen: setting({
    name: 'http.plainListen',
    type: listenAddressOrNone,
    default: 'none',
    description:
      'Where the registry answers plain HTTP beside TLS, such as 127.0.0.1:5001 for a probe or a proxy on this machine. ' +
      'Without tls.certificate, listen is plain already.',
  }),
};

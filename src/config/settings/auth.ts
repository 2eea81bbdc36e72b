import { choice, duration, fileOrNone, httpUrl, serviceName } from '../setting-types.ts';
import { day, setting } from './setting.ts';

export const authSettings = {
  authHtpasswd: setting({
    name: 'auth.htpasswd',
    type: fileOrNone,
    default: 'none',
    description:
      'The users who may log in and their passwords, one a line as htpasswd -B and wherry auth hash write them (bcrypt ' +
      'only). It is read again when it changes. What each may do is for the access rules to say.',
  }),
  authAnonymous: setting({
    name: 'auth.anonymous',
    type: choice(['none', 'pull', 'all']),
    default: 'none',
    description:
      'What everybody may do without logging in, whatever the access rules say. With pull that is pulling from every ' +
      'repository; with all, which the flag --anonymous stands for, pushing and deleting too. With none it is what the ' +
      'rules allow; where there are neither rules nor users, everything is open, and the registry listens on a loopback ' +
      'address only.',
  }),
  authTokensServe: setting({
    name: 'auth.tokens.serve',
    type: choice(['on', 'off']),
    default: 'on',
    description:
      'Whether the registry gives tokens at /token and sends clients there to log in. With off they are asked for a name ' +
      'and a password with each request, and there are no tokens. Names and passwords are taken with each request anyway.',
  }),
  authTokensService: setting({
    name: 'auth.tokens.service',
    type: serviceName,
    default: 'wherry',
    description:
      'What tokens call this registry: who issues them, and whom they are for. Where several registries share a database, ' +
      'theirs is the same.',
  }),
  authTokensRealm: setting({
    name: 'auth.tokens.realm',
    type: httpUrl('auto'),
    default: 'auto',
    description:
      'Where clients are sent to for a token. With auto it is /token at whatever address they have asked, which behind a ' +
      'proxy that ends TLS needs http.trustedProxies.',
  }),
  authTokensLife: setting({
    name: 'auth.tokens.life',
    type: duration({ minMs: 60_000, maxMs: day }),
    default: '5m',
    description:
      'How long a token lasts. Clients get another by themselves. Whoever is revoked or loses a right is out at once, ' +
      'whatever tokens they have.',
  }),
  authTokensRotation: setting({
    name: 'auth.tokens.rotation',
    type: duration({ minMs: 60_000, maxMs: 3650 * day }),
    default: '30d',
    description: 'How long one key signs tokens before the registry makes another.',
  }),
  authTokensRefreshLife: setting({
    name: 'auth.tokens.refreshLife',
    type: duration({ minMs: 60_000, maxMs: 3650 * day, zeroMeans: 'there are none' }),
    default: '90d',
    description:
      'How long a refresh token lasts, which clients such as docker keep in place of a password. It ends with the account, ' +
      'its password or its secret.',
  }),
};

import { expect, test } from 'bun:test';
import { costOf, parseHtpasswd } from './htpasswd.ts';

const rest = 'rjQMDsivrSnzZ8lUOl4XjuSIyBk6X598juzGEODyE8dl7Y8rDp/qa';

test('users are read whatever bcrypt is called, with comments and empty lines between them', () => {
  const text = `# users\nalice:$2y$05$${rest}\r\n\nbob:$2a$10$${rest}\n  \ncarol:$2b$04$${rest}`;
  const parsed = parseHtpasswd(text, 'users');
  expect(parsed.ok && [...parsed.hashes.keys()]).toEqual(['alice', 'bob', 'carol']);
  expect(parsed.ok && [...parsed.hashes.values()].map(costOf)).toEqual([5, 10, 4]);
});

test('every line that is wrong is told, with the name of the user and without the hash', () => {
  const lines = [
    'alice:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=',
    'bob:$apr1$salt$hash',
    `carol:$2y$31$${rest}`,
    `dave:$2y$05$${rest.slice(1)}`,
    `dan:$2y$05$${rest.slice(0, -1)}b`,
    'eve',
    `:$2y$05$${rest}`,
    `frank:$2y$05$${rest}`,
    `frank:$2y$05$${rest}`,
  ];
  const parsed = parseHtpasswd(lines.join('\n'), 'users');
  if (parsed.ok) throw new Error('it was accepted');
  expect(parsed.problems).toEqual([
    'users:1: the hash of the user "alice" is not bcrypt ($2y$…): write it anew with htpasswd -B or wherry auth hash alice',
    'users:2: the hash of the user "bob" is not bcrypt ($2y$…): write it anew with htpasswd -B or wherry auth hash bob',
    'users:3: the hash of the user "carol" has a cost of 31, and 4 to 15 are possible: write it anew with htpasswd -B or wherry auth hash carol',
    'users:4: the hash of the user "dave" is not bcrypt ($2y$…): write it anew with htpasswd -B or wherry auth hash dave',
    'users:5: the hash of the user "dan" is not bcrypt ($2y$…): write it anew with htpasswd -B or wherry auth hash dan',
    'users:6: this is not NAME:HASH, as htpasswd -B and wherry auth hash write it',
    'users:7: this is not NAME:HASH, as htpasswd -B and wherry auth hash write it',
    'users:9: the user "frank" stands in it a second time: remove one of the lines',
  ]);
});

import { expect, test } from 'bun:test';
import { announcementOf, announcementText } from './announcement.ts';

test.each([
  ['http://127.0.0.1:5000', '127.0.0.1:5000'],
  ['http://registry.example:8080/', 'registry.example:8080'],
  ['http://[::1]:5000', '[::1]:5000'],
  ['http://0.0.0.0:5000', 'localhost:5000'],
  ['http://[::]:5000', 'localhost:5000'],
  ['http://127.0.0.1:80', '127.0.0.1:80'],
])('a registry that serves %s is pushed to as %s', (url, host) => {
  const announcement = announcementOf(url, '/srv/wherry');
  expect(announcement.push).toBe(`docker push ${host}/NAME`);
  expect(announcementText(announcement)).toContain(`docker push ${host}/IMAGE\n`);
});

test('the announcement says what is served and where the data is', () => {
  const text = announcementText(announcementOf('http://127.0.0.1:5000', '/srv/wherry'));
  expect(text).toMatch(/^Wherry \S+ serves http:\/\/127\.0\.0\.1:5000\nIts data is in \/srv\/wherry\n/);
});
